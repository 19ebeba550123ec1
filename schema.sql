-- TagLedger's ledger: one SQLite file, written by one scanner, read by any number of servers.
--
-- The ledger stores what was listed, so that evaluations can be repeated: the tags of a resource are stored exactly, and so is the policy
-- that evaluated a snapshot. The results (state, finding set, counts) are stored as well, so that a query takes microseconds. The text of
-- a finding is not stored; it is derived when it is requested.
--
-- A snapshot is written in one transaction and never changed afterwards. Only changes are written: `current` has one row for each current
-- resource, unchanged since the snapshot `since`; a row that changes moves to `history` with the half-open interval [since, until) of
-- snapshots in which it was valid. The estate as of snapshot S is
--   current where since <= S   union all   history where until > S and since <= S.
--
-- A scan can be limited to some scopes. Its snapshot still has all scopes: the others are carried over unchanged, with the id of the
-- snapshot that scanned them.
--
-- Retention prunes old snapshots: their scopes, their rollups, and the states that no retained snapshot has are deleted. The row in
-- `snapshot` stays, with retained = 0, because violations and states refer to its date.
--
-- Times are seconds since the Unix epoch, UTC. Row ids (account, region, type, tag and so on) are valid only in one file; the key of a
-- resource is 63 bits of the SHA-256 of its ARN, the same in every file.

PRAGMA application_id = 0x5461674C; -- "TagL"

-- The policies that evaluated snapshots, in canonical JSON.
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
    narrowed    INTEGER NOT NULL CHECK (narrowed IN (0, 1)), -- 1: only some scopes were scanned; the others were carried over
    retained    INTEGER NOT NULL CHECK (retained IN (0, 1)), -- 0: pruned; only this row of the snapshot remains
    policy_id   INTEGER NOT NULL REFERENCES policy (id),
    app_version TEXT NOT NULL,        -- version of the scanner, and digest of its evaluation code
    requests    INTEGER NOT NULL,     -- sent to AWS for it, retries not counted
    fingerprint INTEGER NOT NULL      -- wrapping sum over all resources of a hash of their state
) STRICT;

CREATE TABLE account (
    id         INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL UNIQUE CHECK (length(account_id) = 12),
    partition  TEXT NOT NULL,
    name       TEXT                   -- in the organization; null when unknown
) STRICT;

CREATE TABLE region (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE resource_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

-- The scopes of each snapshot, and their gaps. A scope without a row was not requested.
CREATE TABLE scope (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    account_id  INTEGER NOT NULL REFERENCES account (id),
    region_id   INTEGER NOT NULL REFERENCES region (id),
    type_id     INTEGER NOT NULL REFERENCES resource_type (id),
    scanned_in  INTEGER NOT NULL REFERENCES snapshot (id), -- the snapshot that scanned it: this one, or an earlier one when it was carried over
    listed_all  INTEGER NOT NULL CHECK (listed_all IN (0, 1)), -- read to the last page: a resource that is not listed was removed
    resources   INTEGER NOT NULL,     -- listed
    unknown     INTEGER NOT NULL,     -- of these, resources whose tags could not be read
    stale       INTEGER NOT NULL,     -- recorded before, not listed because of the gap
    reason      TEXT,                 -- of the first gap; null when there is none
    operation   TEXT,
    message     TEXT,
    PRIMARY KEY (snapshot_id, account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;

-- Tags and tag sets, each stored once. The Name tag is not part of a tag set but a column of the resource: nearly every resource has its
-- own name, so tag sets with the name would hardly ever repeat.
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

-- Rules, and the sets of findings that resources have.
CREATE TABLE rule (
    id       INTEGER PRIMARY KEY,
    code     TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('error', 'warning')),
    tag      TEXT NOT NULL,           -- the tag key; empty when the finding is about the whole resource
    UNIQUE (code, severity, tag)
) STRICT;

CREATE TABLE finding_set (
    id       INTEGER PRIMARY KEY,
    hash     INTEGER NOT NULL UNIQUE,
    rules    BLOB NOT NULL,           -- rule ids as LEB128 varints, in the order of the findings
    errors   INTEGER NOT NULL,
    warnings INTEGER NOT NULL
) STRICT;

-- Related resources (security groups, roles, subnets, VPCs and so on), and the sets of them that resources have.
CREATE TABLE link (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- kind, a space, and id or ARN
) STRICT;

CREATE TABLE link_set (
    id    INTEGER PRIMARY KEY,
    links BLOB NOT NULL UNIQUE        -- link ids as LEB128 varints, in the order of kinds and names
) STRICT;

-- Every resource that a retained snapshot, a state or a violation refers to. A resource that returns has the same key.
CREATE TABLE resource (
    key        INTEGER PRIMARY KEY CHECK (key >= 0),
    account_id INTEGER NOT NULL REFERENCES account (id),
    region_id  INTEGER NOT NULL REFERENCES region (id),
    type_id    INTEGER NOT NULL REFERENCES resource_type (id),
    local      TEXT NOT NULL,         -- the part of the ARN after the account; the whole ARN when it has no account
    created_at INTEGER,               -- creation time from AWS
    first_seen INTEGER NOT NULL REFERENCES snapshot (id)
) STRICT;

-- The current resources: the state of each, unchanged since a snapshot.
CREATE TABLE current (
    key            INTEGER PRIMARY KEY REFERENCES resource (key),
    since          INTEGER NOT NULL,
    tag_set_id     INTEGER REFERENCES tag_set (id), -- last known; null when never known, or when the type has no tags
    name           TEXT,              -- value of the Name tag; null when it has none
    state          INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4), -- compliant, non-compliant, n/a, unknown, exempt
    reason         TEXT CHECK ((reason IS NOT NULL) = (state = 3)), -- why the state is unknown
    finding_set_id INTEGER REFERENCES finding_set (id), -- null: no findings, or not evaluated
    errors         INTEGER NOT NULL,  -- number of findings of severity error
    missing_required INTEGER NOT NULL, -- number of required tags that are missing
    account_id     INTEGER NOT NULL,
    region_id      INTEGER NOT NULL,
    type_id        INTEGER NOT NULL,
    -- Usage of a cost driver that many resources share on the bill, as listed last: for example 1 of `m5.large` for a running instance, 0
    -- for a stopped one, or the gigabytes of a volume. A change of usage begins no new state, and `history` does not have it.
    driver_id      INTEGER REFERENCES bill_text (id),
    quantity       INTEGER,
    -- Relationships, as listed last. A change of them begins no new state either.
    link_set_id    INTEGER REFERENCES link_set (id),
    parent         INTEGER,           -- key of the resource that contains it; the ledger may not have that resource
    untagged       INTEGER NOT NULL DEFAULT 0 CHECK (untagged IN (0, 1)) -- 1: no user tag at all
) STRICT;

CREATE INDEX current_scope ON current (account_id, region_id, type_id, state, finding_set_id, since);
CREATE INDEX current_worst ON current (errors, key, type_id, region_id, account_id, since) WHERE finding_set_id IS NOT NULL;
CREATE INDEX current_missing_tags ON current (untagged, missing_required, key, type_id, region_id, account_id, since)
    WHERE untagged + missing_required > 0;

-- States that have ended, with the same columns, and the reason. Rows are in the order of the snapshots that ended them: a snapshot
-- appends rows, and the changes since a snapshot are one range. Rows that one snapshot ended are in the order of `since`: the states that
-- began in one snapshot are a short range in each later snapshot.
CREATE TABLE history (
    until          INTEGER NOT NULL,  -- the first snapshot in which it was no longer valid
    key            INTEGER NOT NULL REFERENCES resource (key),
    since          INTEGER NOT NULL CHECK (since < until),
    ended_by       INTEGER NOT NULL CHECK (ended_by BETWEEN 1 AND 7), -- see the view `change`
    tag_set_id     INTEGER,
    name           TEXT,
    state          INTEGER NOT NULL,
    reason         TEXT,
    finding_set_id INTEGER,
    errors         INTEGER NOT NULL,
    missing_required INTEGER NOT NULL,
    account_id     INTEGER NOT NULL,
    region_id      INTEGER NOT NULL,
    type_id        INTEGER NOT NULL,
    untagged       INTEGER NOT NULL DEFAULT 0 CHECK (untagged IN (0, 1)),
    PRIMARY KEY (until, since, key)
) STRICT, WITHOUT ROWID;

-- Resources that appeared without a previous state. The first snapshot has no rows here: all its resources were new.
CREATE TABLE arrival (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    key         INTEGER NOT NULL REFERENCES resource (key),
    returned    INTEGER NOT NULL CHECK (returned IN (0, 1)), -- 0: new to the ledger
    PRIMARY KEY (snapshot_id, key)
) STRICT, WITHOUT ROWID;

-- The changes of each snapshot. Complete for a retained snapshot whose previous snapshot is retained.
CREATE VIEW change AS
    SELECT until AS snapshot_id, key, CASE ended_by
        WHEN 1 THEN 'tags'        -- other tags
        WHEN 2 THEN 'verdict'     -- the same tags, another evaluation
        WHEN 3 THEN 'lost'        -- could not be read in this snapshot
        WHEN 4 THEN 'regained'    -- can be read again, unchanged
        WHEN 5 THEN 'removed'     -- not in the complete list
        WHEN 6 THEN 'left_scope'  -- its scope was not requested
        WHEN 7 THEN 'moved'       -- deleted, and created again in another account or region
    END AS kind FROM history
    UNION ALL
    SELECT snapshot_id, key, iif(returned, 'returned', 'new') FROM arrival;

-- Violations. While a resource cannot be read, or its scope is not requested, its violations stay open with `last_seen` set.
CREATE TABLE violation (
    key       INTEGER NOT NULL REFERENCES resource (key),
    rule_id   INTEGER NOT NULL REFERENCES rule (id),
    opened    INTEGER NOT NULL REFERENCES snapshot (id),
    last_seen INTEGER,                -- null: seen in the newest snapshot
    closed    INTEGER,                -- null: open
    closed_by TEXT CHECK (closed_by IN ('fixed', 'removed', 'policy')),
    PRIMARY KEY (key, rule_id, opened),
    CHECK ((closed IS NULL) = (closed_by IS NULL))
) STRICT, WITHOUT ROWID;

-- Compliance counts of each snapshot by scope. They are additive: every total is a sum of rows.
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
    missing_required INTEGER NOT NULL, -- resources with user tags, but without a required one
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

-- Violations opened and closed in each snapshot, by rule and resource type. The first snapshot has no rows. Rows of pruned snapshots stay,
-- so that the totals of a month are complete.
CREATE TABLE rollup_life (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    rule_id     INTEGER NOT NULL REFERENCES rule (id),
    type_id     INTEGER NOT NULL,
    opened      INTEGER NOT NULL,
    reopened    INTEGER NOT NULL,  -- of these, violations that were closed before
    fixed       INTEGER NOT NULL,
    removed     INTEGER NOT NULL,  -- closed because the resource was removed
    dropped     INTEGER NOT NULL,  -- closed by another policy or program, with the same tags
    PRIMARY KEY (snapshot_id, rule_id, type_id)
) STRICT, WITHOUT ROWID;

-- Fixed errors of each snapshot, by the number of days that they were open.
CREATE TABLE rollup_fixed (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    days        INTEGER NOT NULL,
    violations  INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, days)
) STRICT, WITHOUT ROWID;

-- Counts by tag, for the tag keys of the policy.
CREATE TABLE rollup_tag (
    snapshot_id   INTEGER NOT NULL REFERENCES snapshot (id),
    tag_id        INTEGER NOT NULL REFERENCES tag (id),
    resources     INTEGER NOT NULL,
    non_compliant INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, tag_id)
) STRICT, WITHOUT ROWID;

-- The bill by day, from the last answers of Cost Explorer. A month is requested as a whole, and again as long as AWS marks it as
-- estimated; its rows are then replaced. Days are numbered from 1970-01-01.
CREATE TABLE bill_month (
    first_day   INTEGER PRIMARY KEY,
    end_day     INTEGER NOT NULL CHECK (end_day > first_day), -- the first day after the requested days
    open_from   INTEGER,              -- the first estimated day; null: none
    asked_at    INTEGER NOT NULL,
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id), -- of the scan that requested it
    metric      TEXT NOT NULL CHECK (metric IN ('NetAmortizedCost', 'AmortizedCost')),
    payer       TEXT NOT NULL,        -- the payer account; bills of several payers are never added
    policy_id   INTEGER NOT NULL REFERENCES policy (id), -- decides which spend must carry tags
    terms       TEXT NOT NULL,        -- a digest of what the requests depend on; when it changes, the month is requested again
    requests    INTEGER NOT NULL      -- sent for it
) STRICT;

-- The texts of the bill, each stored once: services, charge types, regions, accounts, tag keys and values, currencies, cost drivers.
CREATE TABLE bill_text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

-- Five sums over the same charges, each for other queries. `BillPart` in the code has the same numbers:
--   part                                                     key_a    key_b
--   1 all charges                                            service  charge type
--   2 spend that must carry at least one required tag        region   account
--   3 of part 2, spend without a required key or its value   service  account
--   4 the same spend as part 3                               region   account
--   5 spend that must carry the tag key in key_a             tag key  tag value; empty when the tag is absent or empty
CREATE TABLE bill (
    day         INTEGER NOT NULL,
    part        INTEGER NOT NULL CHECK (part BETWEEN 1 AND 5),
    key_a       INTEGER NOT NULL REFERENCES bill_text (id),
    key_b       INTEGER NOT NULL REFERENCES bill_text (id),
    currency_id INTEGER NOT NULL REFERENCES bill_text (id),
    micros      INTEGER NOT NULL,     -- millionths of the currency's unit
    PRIMARY KEY (day, part, key_a, key_b, currency_id)
) STRICT, WITHOUT ROWID;

-- Rows of `bill` as they were before the scan of a snapshot changed them, for days that were recorded then; 0: there was no row. The bill
-- as of a snapshot is `bill` with the rows of all later snapshots restored.
CREATE TABLE bill_before (
    day         INTEGER NOT NULL,
    part        INTEGER NOT NULL,
    key_a       INTEGER NOT NULL,
    key_b       INTEGER NOT NULL,
    currency_id INTEGER NOT NULL,
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    micros      INTEGER NOT NULL,
    PRIMARY KEY (day, part, key_a, key_b, currency_id, snapshot_id)
) STRICT, WITHOUT ROWID;

-- The other records of the bill before such a scan, as JSON: months, cost allocation tags, gap. Null: a version of TagLedger before
-- schema version 6 did not store it.
CREATE TABLE bill_known_before (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    known       TEXT
) STRICT;

-- The basis of the costs of single resources: one row, or none.
CREATE TABLE cost_basis (
    first_day    INTEGER PRIMARY KEY, -- of the month whose spend is divided
    end_day      INTEGER NOT NULL CHECK (end_day > first_day),
    asked_at     INTEGER NOT NULL,
    payer        TEXT NOT NULL,
    currency     TEXT NOT NULL,
    window_first INTEGER,             -- days for which the bill has resource ids; null: none
    window_end   INTEGER CHECK ((window_end IS NULL) = (window_first IS NULL)),
    problem      TEXT NOT NULL        -- why it has none; empty when it has
) STRICT;

-- The billed amount of that month for each cost driver that resources share.
CREATE TABLE usage_pool (
    type      INTEGER NOT NULL REFERENCES bill_text (id),
    account   INTEGER NOT NULL REFERENCES bill_text (id),
    region    INTEGER NOT NULL REFERENCES bill_text (id),
    driver_id INTEGER NOT NULL REFERENCES bill_text (id),
    micros    INTEGER NOT NULL CHECK (micros > 0),
    units     INTEGER NOT NULL,       -- millionths of an hour, or of a gigabyte for a month
    PRIMARY KEY (type, account, region, driver_id)
) STRICT, WITHOUT ROWID;

-- Usage of the cost drivers by the current resources of a scope, by whether a bill can attribute them by their current tags:
-- 0 no, 1 yes, 2 not evaluated.
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

-- Services with resource ids on the bill, with the cost of their usage in the month.
CREATE TABLE charged_service (service INTEGER PRIMARY KEY REFERENCES bill_text (id), micros INTEGER NOT NULL) STRICT;

-- The share of a resource in the cost of its service in the month. The shares are those of the days for which the bill has resource ids.
CREATE TABLE resource_cost (key INTEGER PRIMARY KEY REFERENCES resource (key), micros INTEGER NOT NULL) STRICT;

-- Requests to Cost Explorer by day. Each costs money, and a day has a budget.
CREATE TABLE bill_requests (day INTEGER PRIMARY KEY, requests INTEGER NOT NULL) STRICT;

-- Status of the required tag keys as cost allocation tags; empty when only another account can request it.
CREATE TABLE allocation_tag (
    key      TEXT PRIMARY KEY,
    status   TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'unknown')), -- unknown: never billed
    asked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Why the last scan that requested the bill did not read all of it; no row when it did.
CREATE TABLE bill_gap (
    asked_at  INTEGER PRIMARY KEY,
    reason    TEXT NOT NULL,          -- as in `scope`, or 'budget'
    operation TEXT NOT NULL,
    message   TEXT NOT NULL,
    needs     INTEGER NOT NULL        -- least number of requests for a month; 0 when unknown
) STRICT;

-- Creators of the current resources, from CloudTrail, which keeps events for 90 days.
CREATE TABLE principal (
    id  INTEGER PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE creator (
    key          INTEGER PRIMARY KEY, -- as of `resource`
    principal_id INTEGER NOT NULL REFERENCES principal (id)
) STRICT;

-- The time up to which the creation events of each scope were read from CloudTrail.
CREATE TABLE trail (
    account_id INTEGER NOT NULL REFERENCES account (id),
    region_id  INTEGER NOT NULL REFERENCES region (id),
    type_id    INTEGER NOT NULL REFERENCES resource_type (id),
    until      INTEGER NOT NULL,
    PRIMARY KEY (account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;

-- Training data for tag predictions, replaced after each scan. A feature is something that resources share: a stack, a security group,
-- another tag, a word of their names. For each feature: how many resources have which value of each tag.
CREATE TABLE feature_counts (
    feature INTEGER PRIMARY KEY,      -- 63 bits of a hash of the feature
    counts  BLOB NOT NULL             -- for each tag key of the policy: its index, resources, values, and pairs of value and resources
) STRICT;

-- The tag values that `feature_counts` refers to. The numbers are valid only in this ledger, until the next training.
CREATE TABLE feature_counts_value (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;

-- The trained model: one row, or none before the first training.
CREATE TABLE feature_counts_model (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id), -- that it was trained on
    policy_id   INTEGER NOT NULL REFERENCES policy (id),      -- that decides which values are valid
    model       TEXT NOT NULL         -- JSON
) STRICT;

-- Insights of a snapshot, computed when it was the newest: which tags to add first, the backlog of violations, and the causes of changes
-- since the previous snapshot. To compute them reads all resources, or all changes. They have no costs, which are known only for the
-- newest snapshot. They follow from the other tables: for a snapshot without a row they are computed when they are requested.
CREATE TABLE told (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    body        TEXT NOT NULL         -- JSON
) STRICT;

PRAGMA user_version = 9;
