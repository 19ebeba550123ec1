CREATE TABLE told (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    body        TEXT NOT NULL
) STRICT;
PRAGMA user_version = 8;
