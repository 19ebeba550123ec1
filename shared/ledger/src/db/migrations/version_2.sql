-- From version 1 to 2, with the tables and views of schema.sql at version 2.

ALTER TABLE snapshot RENAME TO snapshot_1;
ALTER TABLE scope RENAME TO scope_1;
ALTER TABLE history RENAME TO history_1;
ALTER TABLE change RENAME TO change_1;

CREATE TABLE snapshot (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL CHECK (finished_at >= started_at),
    status      TEXT NOT NULL CHECK (status IN ('complete', 'partial')),
    narrowed    INTEGER NOT NULL CHECK (narrowed IN (0, 1)),
    kept        INTEGER NOT NULL CHECK (kept IN (0, 1)),
    policy_id   INTEGER NOT NULL REFERENCES policy (id),
    app_version TEXT NOT NULL,
    requests    INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL
) STRICT;

INSERT INTO snapshot SELECT id, started_at, finished_at, status, 0, 1, policy_id, app_version, requests, fingerprint
    FROM snapshot_1;

CREATE TABLE scope (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    account_id  INTEGER NOT NULL REFERENCES account (id),
    region_id   INTEGER NOT NULL REFERENCES region (id),
    type_id     INTEGER NOT NULL REFERENCES resource_type (id),
    scanned_in  INTEGER NOT NULL REFERENCES snapshot (id),
    listed_all  INTEGER NOT NULL CHECK (listed_all IN (0, 1)),
    resources   INTEGER NOT NULL,
    unknown     INTEGER NOT NULL,
    stale       INTEGER NOT NULL,
    reason      TEXT,
    operation   TEXT,
    message     TEXT,
    PRIMARY KEY (snapshot_id, account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;

INSERT INTO scope SELECT snapshot_id, account_id, region_id, type_id, snapshot_id, listed_all, resources, unknown, stale,
    reason, operation, message FROM scope_1;

CREATE TABLE history (
    until          INTEGER NOT NULL,
    key            INTEGER NOT NULL REFERENCES resource (key),
    since          INTEGER NOT NULL CHECK (since < until),
    ended_by       INTEGER NOT NULL CHECK (ended_by BETWEEN 1 AND 7),
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
    PRIMARY KEY (until, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE arrival (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    key         INTEGER NOT NULL REFERENCES resource (key),
    returned    INTEGER NOT NULL CHECK (returned IN (0, 1)),
    PRIMARY KEY (snapshot_id, key)
) STRICT, WITHOUT ROWID;

CREATE VIEW change AS
    SELECT until AS snapshot_id, key, CASE ended_by
        WHEN 1 THEN 'tags'
        WHEN 2 THEN 'verdict'
        WHEN 3 THEN 'lost'
        WHEN 4 THEN 'regained'
        WHEN 5 THEN 'removed'
        WHEN 6 THEN 'left_scope'
        WHEN 7 THEN 'moved'
    END AS kind FROM history
    UNION ALL
    SELECT snapshot_id, key, iif(returned, 'returned', 'new') FROM arrival;

-- A returned resource was not removed before when one of its states ended in the same snapshot: it moved.
INSERT INTO arrival SELECT snapshot_id, key, kind = 'returned' FROM change_1
    WHERE snapshot_id > 1 AND kind IN ('new', 'returned')
        AND NOT EXISTS (SELECT 1 FROM history_1 h WHERE h.key = change_1.key AND h.until = change_1.snapshot_id);
