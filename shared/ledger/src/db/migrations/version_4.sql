-- From version 3 to 4, with the tables of schema.sql at version 4.

ALTER TABLE current ADD COLUMN driver_id INTEGER REFERENCES bill_text (id);
ALTER TABLE current ADD COLUMN quantity INTEGER;

CREATE TABLE cost_basis (
    first_day    INTEGER PRIMARY KEY,
    end_day      INTEGER NOT NULL CHECK (end_day > first_day),
    asked_at     INTEGER NOT NULL,
    payer        TEXT NOT NULL,
    currency     TEXT NOT NULL,
    window_first INTEGER,
    window_end   INTEGER CHECK ((window_end IS NULL) = (window_first IS NULL)),
    problem      TEXT NOT NULL
) STRICT;

CREATE TABLE usage_pool (
    type      INTEGER NOT NULL REFERENCES bill_text (id),
    account   INTEGER NOT NULL REFERENCES bill_text (id),
    region    INTEGER NOT NULL REFERENCES bill_text (id),
    driver_id INTEGER NOT NULL REFERENCES bill_text (id),
    micros    INTEGER NOT NULL CHECK (micros > 0),
    units     INTEGER NOT NULL,
    PRIMARY KEY (type, account, region, driver_id)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE charged_service (service INTEGER PRIMARY KEY REFERENCES bill_text (id), micros INTEGER NOT NULL) STRICT;

CREATE TABLE resource_cost (key INTEGER PRIMARY KEY REFERENCES resource (key), micros INTEGER NOT NULL) STRICT;

CREATE TABLE rollup_life (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    rule_id     INTEGER NOT NULL REFERENCES rule (id),
    type_id     INTEGER NOT NULL,
    opened      INTEGER NOT NULL,
    reopened    INTEGER NOT NULL,
    fixed       INTEGER NOT NULL,
    removed     INTEGER NOT NULL,
    dropped     INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, rule_id, type_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_fixed (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    days        INTEGER NOT NULL,
    violations  INTEGER NOT NULL,
    PRIMARY KEY (snapshot_id, days)
) STRICT, WITHOUT ROWID;

INSERT INTO rollup_life
    SELECT snapshot_id, rule_id, type_id, sum(opened), sum(reopened), sum(fixed), sum(removed), sum(dropped) FROM (
        SELECT v.opened AS snapshot_id, v.rule_id, r.type_id, 1 AS opened, EXISTS (SELECT 1 FROM violation e
            WHERE e.key = v.key AND e.rule_id = v.rule_id AND e.opened < v.opened) AS reopened,
            0 AS fixed, 0 AS removed, 0 AS dropped
        FROM violation v JOIN resource r ON r.key = v.key WHERE v.opened > 1
        UNION ALL
        SELECT v.closed, v.rule_id, r.type_id, 0, 0, v.closed_by = 'fixed', v.closed_by = 'removed', v.closed_by = 'policy'
        FROM violation v JOIN resource r ON r.key = v.key WHERE v.closed IS NOT NULL
    ) GROUP BY snapshot_id, rule_id, type_id;

INSERT INTO rollup_fixed
    SELECT v.closed, c.started_at / 86400 - o.started_at / 86400, count(*)
    FROM violation v JOIN snapshot o ON o.id = v.opened JOIN snapshot c ON c.id = v.closed
    JOIN rule e ON e.id = v.rule_id AND e.severity = 'error'
    WHERE v.closed_by = 'fixed' GROUP BY 1, 2;

PRAGMA user_version = 4;
