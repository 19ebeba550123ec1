-- From version 2 to 3, with the tables of schema.sql at version 3.

CREATE TABLE bill_month (
    first_day   INTEGER PRIMARY KEY,
    end_day     INTEGER NOT NULL CHECK (end_day > first_day),
    open_from   INTEGER,
    asked_at    INTEGER NOT NULL,
    snapshot_id INTEGER NOT NULL REFERENCES snapshot (id),
    metric      TEXT NOT NULL CHECK (metric IN ('NetAmortizedCost', 'AmortizedCost')),
    payer       TEXT NOT NULL,
    policy_id   INTEGER NOT NULL REFERENCES policy (id),
    terms       TEXT NOT NULL,
    requests    INTEGER NOT NULL
) STRICT;

CREATE TABLE bill_text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE bill (
    day         INTEGER NOT NULL,
    part        INTEGER NOT NULL CHECK (part BETWEEN 1 AND 5),
    a           INTEGER NOT NULL REFERENCES bill_text (id),
    b           INTEGER NOT NULL REFERENCES bill_text (id),
    currency_id INTEGER NOT NULL REFERENCES bill_text (id),
    micros      INTEGER NOT NULL,
    PRIMARY KEY (day, part, a, b, currency_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE bill_requests (day INTEGER PRIMARY KEY, requests INTEGER NOT NULL) STRICT;

CREATE TABLE allocation_tag (
    key      TEXT PRIMARY KEY,
    status   TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'unknown')),
    asked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bill_gap (
    asked_at  INTEGER PRIMARY KEY,
    reason    TEXT NOT NULL,
    operation TEXT NOT NULL,
    message   TEXT NOT NULL,
    needs     INTEGER NOT NULL
) STRICT;

PRAGMA user_version = 3;
