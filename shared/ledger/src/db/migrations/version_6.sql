-- From version 5 to 6: the bill before each snapshot. For snapshots before the newest it cannot be reconstructed.

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

CREATE TABLE bill_known_before (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    known       TEXT
) STRICT;

INSERT INTO bill_known_before SELECT id, NULL FROM snapshot ORDER BY id DESC LIMIT 1;

PRAGMA user_version = 6;
