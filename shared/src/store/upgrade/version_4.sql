-- From version 3. Tables are made as schema.sql had them at version 4.

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

PRAGMA user_version = 4;
