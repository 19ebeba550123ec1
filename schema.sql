-- TagLedger's ledger: one SQLite file, written by one scanner, read by any number of servers.
--
-- Facts are stored, verdicts can be derived again: a resource's tags are kept to the letter, and the policy that judged
-- a night is kept beside it. What stands here of verdicts (state, finding set, counts) is what that policy said that
-- night, so that a question costs microseconds; the wording of a finding is derived when it is asked for.
--
-- A night (`snapshot`) is written in one transaction and never changed afterwards. Only changes are written: `current`
-- has one row per living resource, unchanged since the snapshot `since`; a row that changes moves to `history` with the
-- half-open interval [since, until) of snapshots in which it held. So the estate as of snapshot S is
--   current where since <= S   union all   history where until > S and since <= S.
--
-- A scan can be narrowed to some scopes. Its snapshot has all scopes all the same: the others are carried over as they
-- were, with the snapshot that did read them.
--
-- Retention thins out old nights: their scopes, rollups and the versions that no kept night saw are deleted. The row in
-- `snapshot` stays, with kept = 0, so that what began in such a night keeps its date.
--
-- Times are seconds since the Unix epoch, UTC. Local ids (account, region, type, tag and so on) never leave the file; a
-- resource's key is 63 bits of the SHA-256 of its ARN, the same in every file.

PRAGMA application_id = 0x5461674C; -- "TagL"

-- The policies that nights were judged by, in canonical JSON.
CREATE TABLE policy (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,      -- hex SHA-256 of body
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE snapshot (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL CHECK (finished_at >= started_at),
    status      TEXT NOT NULL CHECK (status IN ('complete', 'partial')), -- partial: at least one scope has a gap
    narrowed    INTEGER NOT NULL CHECK (narrowed IN (0, 1)), -- of a scan of some scopes; the rest was carried over
    kept        INTEGER NOT NULL CHECK (kept IN (0, 1)),     -- 0: thinned out; what it said is no longer told
    policy_id   INTEGER NOT NULL REFERENCES policy (id),
    app_version TEXT NOT NULL,        -- of the scanner that wrote it, and what it judged with
    requests    INTEGER NOT NULL,     -- sent to AWS for it, retries not counted
    fingerprint INTEGER NOT NULL      -- of its content: the wrapping sum over all resources of a hash of what is known
) STRICT;

CREATE TABLE account (
    id         INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL UNIQUE CHECK (length(account_id) = 12),
    partition  TEXT NOT NULL,
    name       TEXT                   -- in the organization; null when not known
) STRICT;

CREATE TABLE region (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE resource_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

-- What each snapshot scanned, and what it could not. A scope without a row was not asked for.
CREATE TABLE scope (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    account_id  INTEGER NOT NULL REFERENCES account (id),
    region_id   INTEGER NOT NULL REFERENCES region (id),
    type_id     INTEGER NOT NULL REFERENCES resource_type (id),
    scanned_in  INTEGER NOT NULL REFERENCES snapshot (id), -- that read it: this one, or an earlier one if carried over
    listed_all  INTEGER NOT NULL CHECK (listed_all IN (0, 1)), -- read to its last page: what is missing is gone
    resources   INTEGER NOT NULL,     -- seen in the list
    unknown     INTEGER NOT NULL,     -- of these, tags could not be read
    stale       INTEGER NOT NULL,     -- known from before, not seen because of the gap
    reason      TEXT,                 -- null when there is no gap; else of the first one
    operation   TEXT,
    message     TEXT,
    PRIMARY KEY (snapshot_id, account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;

-- Tags, once each, and the sets of them that resources have. The Name tag stands apart, in the version: nearly every
-- resource has one of its own, and sets that contain it would hardly ever repeat.
CREATE TABLE tag (
    id    INTEGER PRIMARY KEY,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (key, value)
) STRICT;

CREATE TABLE tag_set (
    id   INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL UNIQUE,     -- 63 bits of SHA-256 over its pairs
    tags BLOB NOT NULL                -- tag ids as LEB128 varints, in the order of the keys
) STRICT;

-- What can be found, and the sets of findings that resources have.
CREATE TABLE rule (
    id       INTEGER PRIMARY KEY,
    code     TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('error', 'warning')),
    tag      TEXT NOT NULL,           -- the tag key it is about; empty: the whole resource
    UNIQUE (code, severity, tag)
) STRICT;

CREATE TABLE finding_set (
    id       INTEGER PRIMARY KEY,
    hash     INTEGER NOT NULL UNIQUE,
    rules    BLOB NOT NULL,           -- rule ids as LEB128 varints, in the order of the findings
    errors   INTEGER NOT NULL,
    warnings INTEGER NOT NULL
) STRICT;

-- Security groups, roles, subnets and VPCs, once each, and the sets of them that resources stand in.
CREATE TABLE link (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- its kind, a blank, its id or ARN
) STRICT;

CREATE TABLE link_set (
    id    INTEGER PRIMARY KEY,
    links BLOB NOT NULL UNIQUE        -- link ids as LEB128 varints, in the order of kinds and names
) STRICT;

-- Every resource ever seen. Never deleted: a resource that comes back is the same one.
CREATE TABLE resource (
    key        INTEGER PRIMARY KEY CHECK (key >= 0),
    account_id INTEGER NOT NULL REFERENCES account (id),
    region_id  INTEGER NOT NULL REFERENCES region (id),
    type_id    INTEGER NOT NULL REFERENCES resource_type (id),
    local      TEXT NOT NULL,         -- what stands behind the account in its ARN; the whole ARN where it has no account
    created_at INTEGER,               -- as AWS says
    first_seen INTEGER NOT NULL REFERENCES snapshot (id)
) STRICT;

-- One row per living resource: what is known of it, unchanged since a snapshot.
CREATE TABLE current (
    key            INTEGER PRIMARY KEY REFERENCES resource (key),
    since          INTEGER NOT NULL,
    tag_set_id     INTEGER REFERENCES tag_set (id), -- last known; null when never known, or when it cannot carry tags
    name           TEXT,              -- value of the Name tag; null when it has none
    state          INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4), -- compliant, non-compliant, n/a, unknown, exempt
    reason         TEXT CHECK ((reason IS NOT NULL) = (state = 3)), -- why it is unknown
    finding_set_id INTEGER REFERENCES finding_set (id), -- null: no findings, or not judged
    errors         INTEGER NOT NULL,  -- findings of severity error: the worst resources first
    lacking        INTEGER NOT NULL,  -- required tags that are missing; 1000 more when it has no user tag at all
    account_id     INTEGER NOT NULL,
    region_id      INTEGER NOT NULL,
    type_id        INTEGER NOT NULL,
    -- What it takes of something that is billed in one sum for many resources, as it was seen last: 1 of `m5.large` when it
    -- runs and 0 when it is stopped, or the gigabytes of a volume. It opens no version, and ended versions do not have it.
    driver_id      INTEGER REFERENCES bill_text (id),
    quantity       INTEGER,
    -- What it stands in and belongs to, as it was seen last; likewise.
    link_set_id    INTEGER REFERENCES link_set (id),
    parent         INTEGER            -- key of the resource that it is a part of, which the ledger need not have
) STRICT;

CREATE INDEX current_scope ON current (account_id, region_id, type_id, state, finding_set_id, since);
CREATE INDEX current_worst ON current (errors, key, type_id, region_id, account_id, since) WHERE finding_set_id IS NOT NULL;
CREATE INDEX current_lacking ON current (lacking, key, type_id, region_id, account_id, since) WHERE lacking > 0;

-- Versions that have ended, with the same columns, and what ended them. In the order of the nights that ended them: a
-- night is appended, and what changed since a night is one range. Of those that a night ended, what began in another one lies
-- together: what became of the changes of a night is a short range of each night after it.
CREATE TABLE history (
    until          INTEGER NOT NULL,  -- the first snapshot in which it no longer held
    key            INTEGER NOT NULL REFERENCES resource (key),
    since          INTEGER NOT NULL CHECK (since < until),
    ended_by       INTEGER NOT NULL CHECK (ended_by BETWEEN 1 AND 7), -- see the view `change`
    tag_set_id     INTEGER,
    name           TEXT,
    state          INTEGER NOT NULL,
    reason         TEXT,
    finding_set_id INTEGER,
    errors         INTEGER NOT NULL,
    lacking        INTEGER NOT NULL,
    account_id     INTEGER NOT NULL,
    region_id      INTEGER NOT NULL,
    type_id        INTEGER NOT NULL,
    PRIMARY KEY (until, since, key)
) STRICT, WITHOUT ROWID;

-- Resources that came without a version of theirs ending. Of the ledger's first snapshot none stands here: all were new.
CREATE TABLE arrival (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    key         INTEGER NOT NULL REFERENCES resource (key),
    returned    INTEGER NOT NULL CHECK (returned IN (0, 1)), -- 0: never seen before
    PRIMARY KEY (snapshot_id, key)
) STRICT, WITHOUT ROWID;

-- What happened to whom in which night. Whole for nights that are kept and whose predecessor is.
CREATE VIEW change AS
    SELECT until AS snapshot_id, key, CASE ended_by
        WHEN 1 THEN 'tags'        -- other tags
        WHEN 2 THEN 'verdict'     -- the same tags, judged otherwise
        WHEN 3 THEN 'lost'        -- could not be read this night
        WHEN 4 THEN 'regained'    -- can be read again, and is as it was
        WHEN 5 THEN 'removed'     -- its whole list was read and does not have it
        WHEN 6 THEN 'left_scope'  -- no longer asked for; nothing is known of it
        WHEN 7 THEN 'moved'       -- deleted, and made anew in another account or region
    END AS kind FROM history
    UNION ALL
    SELECT snapshot_id, key, iif(returned, 'returned', 'new') FROM arrival;

-- The life of each violation. While its resource cannot be read, or is not asked for, it stays open with `last_seen` set.
CREATE TABLE violation (
    key       INTEGER NOT NULL REFERENCES resource (key),
    rule_id   INTEGER NOT NULL REFERENCES rule (id),
    opened    INTEGER NOT NULL REFERENCES snapshot (id),
    last_seen INTEGER,                -- null: still seen in the newest snapshot
    closed    INTEGER,                -- null: open
    closed_by TEXT CHECK (closed_by IN ('fixed', 'removed', 'policy')),
    PRIMARY KEY (key, rule_id, opened),
    CHECK ((closed IS NULL) = (closed_by IS NULL))
) STRICT, WITHOUT ROWID;

-- Counts by night, additive: any total is a sum of cells, and shards of a ledger merge by summing.
CREATE TABLE rollup_cell (
    snapshot_id    INTEGER NOT NULL REFERENCES snapshot (id),
    account_id     INTEGER NOT NULL,
    region_id      INTEGER NOT NULL,
    type_id        INTEGER NOT NULL,
    compliant      INTEGER NOT NULL,
    non_compliant  INTEGER NOT NULL,
    not_applicable INTEGER NOT NULL,
    unknown        INTEGER NOT NULL,
    exempt         INTEGER NOT NULL,
    untagged       INTEGER NOT NULL,  -- resources without any user tag
    lacking        INTEGER NOT NULL,  -- resources with user tags that lack a required one
    warned         INTEGER NOT NULL,  -- resources with a warning
    flagged        INTEGER NOT NULL,  -- resources with any finding
    errors         INTEGER NOT NULL,  -- findings
    warnings       INTEGER NOT NULL,  -- findings
    PRIMARY KEY (snapshot_id, account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_rule (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    rule_id     INTEGER NOT NULL REFERENCES rule (id),
    type_id     INTEGER NOT NULL,
    resources   INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, rule_id, type_id)
) STRICT, WITHOUT ROWID;

-- What began and ended in a night, by rule and type. Of the first night nothing stands here. It stays when a night is thinned
-- out, so that what happened in a month can be added up.
CREATE TABLE rollup_life (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    rule_id     INTEGER NOT NULL REFERENCES rule (id),
    type_id     INTEGER NOT NULL,
    opened      INTEGER NOT NULL,
    reopened    INTEGER NOT NULL,  -- of these, of which the ledger knows an earlier one
    fixed       INTEGER NOT NULL,
    removed     INTEGER NOT NULL,  -- with their resources
    dropped     INTEGER NOT NULL,  -- judged otherwise with the same tags: nobody fixed them
    PRIMARY KEY (snapshot_id, rule_id, type_id)
) STRICT, WITHOUT ROWID;

-- How many days the errors had been open that were fixed in a night.
CREATE TABLE rollup_fixed (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    days        INTEGER NOT NULL,
    violations  INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, days)
) STRICT, WITHOUT ROWID;

-- By the value of a key that the policy names.
CREATE TABLE rollup_tag (
    snapshot_id   INTEGER NOT NULL REFERENCES snapshot (id),
    tag_id        INTEGER NOT NULL REFERENCES tag (id),
    resources     INTEGER NOT NULL,
    non_compliant INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, tag_id)
) STRICT, WITHOUT ROWID;

-- What was billed, by day, as Cost Explorer said when it was asked last. A month is asked for as a whole, and again as long
-- as AWS says that it may still change: its rows are replaced. Days are counted from 1970-01-01.
CREATE TABLE bill_month (
    first_day   INTEGER PRIMARY KEY,
    end_day     INTEGER NOT NULL CHECK (end_day > first_day), -- the first day that was not asked for
    open_from   INTEGER,              -- the first day that may still change; null: none
    asked_at    INTEGER NOT NULL,
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id), -- of the scan that asked
    metric      TEXT NOT NULL CHECK (metric IN ('NetAmortizedCost', 'AmortizedCost')),
    payer       TEXT NOT NULL,        -- the account whose bill it is; bills of several are never added
    policy_id   INTEGER NOT NULL REFERENCES policy (id), -- decides what of it is a gap
    terms       TEXT NOT NULL,        -- names all that the answers depend on; asked for again under others
    requests    INTEGER NOT NULL      -- that it took
) STRICT;

-- Services, kinds of charge, places, tag keys and values, currencies: each text of the bill once.
CREATE TABLE bill_text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

-- The parts are sums over the same lines, each for questions of its own:
--   1 all charges                             by service (a) and kind of charge (b)
--   2 spend that must carry some key          by region (a) and account (b)
--   3 of that, what lacks a key or its value  by service (a) and account (b)
--   4 the same                                by region (a) and account (b)
--   5 spend that must carry the key (a)       by its value (b); empty: absent, or empty
CREATE TABLE bill (
    day         INTEGER NOT NULL,
    part        INTEGER NOT NULL CHECK (part BETWEEN 1 AND 5),
    a           INTEGER NOT NULL REFERENCES bill_text (id),
    b           INTEGER NOT NULL REFERENCES bill_text (id),
    currency_id INTEGER NOT NULL REFERENCES bill_text (id),
    micros      INTEGER NOT NULL,     -- millionths of the currency's unit
    PRIMARY KEY (day, part, a, b, currency_id)
) STRICT, WITHOUT ROWID;

-- Lines of the bill as they were before the scan of a snapshot read them otherwise, of days that were known then; 0: there was
-- none. What a kept night knew is what stands in `bill`, with all this undone that came after it.
CREATE TABLE bill_before (
    day         INTEGER NOT NULL,
    part        INTEGER NOT NULL,
    a           INTEGER NOT NULL,
    b           INTEGER NOT NULL,
    currency_id INTEGER NOT NULL,
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    micros      INTEGER NOT NULL,
    PRIMARY KEY (day, part, a, b, currency_id, snapshot_id)
) STRICT, WITHOUT ROWID;

-- The rest of what was known of the bill before such a scan, as JSON: months, the keys it is split by, what was not read. Null:
-- it was not kept, by a version that did not.
CREATE TABLE bill_known_before (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    known       TEXT
) STRICT;

-- On what the costs of single resources are based; one row, or none.
CREATE TABLE cost_basis (
    first_day    INTEGER PRIMARY KEY, -- of the month whose spend is shared out
    end_day      INTEGER NOT NULL CHECK (end_day > first_day),
    asked_at     INTEGER NOT NULL,
    payer        TEXT NOT NULL,
    currency     TEXT NOT NULL,
    window_first INTEGER,             -- days for which the bill names single resources; null: it does not
    window_end   INTEGER CHECK ((window_end IS NULL) = (window_first IS NULL)),
    problem      TEXT NOT NULL        -- why it does not; empty when it does
) STRICT;

-- What was billed in that month of something that resources share, more than nothing.
CREATE TABLE usage_pool (
    type      INTEGER NOT NULL REFERENCES bill_text (id),
    account   INTEGER NOT NULL REFERENCES bill_text (id),
    region    INTEGER NOT NULL REFERENCES bill_text (id),
    driver_id INTEGER NOT NULL REFERENCES bill_text (id),
    micros    INTEGER NOT NULL CHECK (micros > 0),
    units     INTEGER NOT NULL,       -- millionths of an hour, or of a gigabyte for a month
    PRIMARY KEY (type, account, region, driver_id)
) STRICT, WITHOUT ROWID;

-- What the living resources of a scope take of it, by whether a bill can attribute them by the tags they have now:
-- 0 no, 1 yes, 2 not judged.
CREATE TABLE usage (
    account_id   INTEGER NOT NULL,
    region_id    INTEGER NOT NULL,
    type_id      INTEGER NOT NULL,
    driver_id    INTEGER NOT NULL REFERENCES bill_text (id),
    attributable INTEGER NOT NULL CHECK (attributable BETWEEN 0 AND 2),
    quantity     INTEGER NOT NULL,
    resources    INTEGER NOT NULL,
    PRIMARY KEY (account_id, region_id, type_id, driver_id, attributable)
) STRICT, WITHOUT ROWID;

-- Services of which the bill names single resources, with all that their use cost in the month.
CREATE TABLE charged_service (service INTEGER PRIMARY KEY REFERENCES bill_text (id), micros INTEGER NOT NULL) STRICT;

-- A resource's part of what its service cost in the month, by what it cost in the days for which the bill names it.
CREATE TABLE resource_cost (key INTEGER PRIMARY KEY REFERENCES resource (key), micros INTEGER NOT NULL) STRICT;

-- Requests to Cost Explorer by day: each costs money, and a day has a budget.
CREATE TABLE bill_requests (day INTEGER PRIMARY KEY, requests INTEGER NOT NULL) STRICT;

-- Whether bills are split by the keys that the policy requires; empty where only another account may ask.
CREATE TABLE allocation_tag (
    key      TEXT PRIMARY KEY,
    status   TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'unknown')), -- unknown: never billed
    asked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Why the newest scan that asked did not read all of the bill; no row when it did.
CREATE TABLE bill_gap (
    asked_at  INTEGER PRIMARY KEY,
    reason    TEXT NOT NULL,          -- as in `scope`, or 'budget'
    operation TEXT NOT NULL,
    message   TEXT NOT NULL,
    needs     INTEGER NOT NULL        -- requests that a month takes at least, as far as that is known
) STRICT;

-- Who created the living resources, as CloudTrail says. It keeps ninety days; here it stays.
CREATE TABLE principal (
    id  INTEGER PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE creator (
    key          INTEGER PRIMARY KEY, -- as of `resource`
    principal_id INTEGER NOT NULL REFERENCES principal (id)
) STRICT;

-- Until when CloudTrail was asked about creations.
CREATE TABLE trail (
    account_id INTEGER NOT NULL REFERENCES account (id),
    region_id  INTEGER NOT NULL REFERENCES region (id),
    type_id    INTEGER NOT NULL REFERENCES resource_type (id),
    until      INTEGER NOT NULL,
    PRIMARY KEY (account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;

-- What living resources with right values tell of those without, made anew after each scan: for something that resources
-- share (a stack, a security group, another tag, a word of their names), which values they have how often.
CREATE TABLE evidence (
    feature INTEGER PRIMARY KEY,      -- 63 bits of a hash of what is shared
    counts  BLOB NOT NULL             -- for each key of the policy: its place, resources, and pairs of value and resources
) STRICT;

-- The values that stand in `evidence`, by numbers that hold for it alone.
CREATE TABLE evidence_value (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;

-- How evidence is weighed; one row, or none before the first scan by a version that learns.
CREATE TABLE evidence_model (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id), -- of whose resources it is
    policy_id   INTEGER NOT NULL REFERENCES policy (id),      -- by which values are right
    model       TEXT NOT NULL         -- JSON
) STRICT;

-- What takes a look at all resources of a night, or at all that changed in it, told when it was the newest: what to tag first, what
-- there is to fix, and what made it differ from the night before it. No costs: those are known of the newest night alone. It
-- follows from the facts, and a night without a row is looked through when it is asked about.
CREATE TABLE told (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    body        TEXT NOT NULL         -- JSON
) STRICT;

PRAGMA user_version = 8;
