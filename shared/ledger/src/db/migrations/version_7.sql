-- From version 6 to 7: the states that a snapshot ended are stored in the order of the snapshots that began them.

DROP VIEW change;
ALTER TABLE history RENAME TO history_6;

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
    PRIMARY KEY (until, since, key)
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
