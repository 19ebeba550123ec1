-- From version 4 to 5: relationships and predictions. Earlier snapshots have no relationships; the next scan records them.

ALTER TABLE current ADD COLUMN link_set_id INTEGER REFERENCES link_set (id);
ALTER TABLE current ADD COLUMN parent INTEGER;

CREATE TABLE link (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE link_set (
    id    INTEGER PRIMARY KEY,
    links BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE principal (
    id  INTEGER PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE creator (
    key          INTEGER PRIMARY KEY,
    principal_id INTEGER NOT NULL REFERENCES principal (id)
) STRICT;

CREATE TABLE trail (
    account_id INTEGER NOT NULL REFERENCES account (id),
    region_id  INTEGER NOT NULL REFERENCES region (id),
    type_id    INTEGER NOT NULL REFERENCES resource_type (id),
    until      INTEGER NOT NULL,
    PRIMARY KEY (account_id, region_id, type_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (
    feature INTEGER PRIMARY KEY,
    counts  BLOB NOT NULL
) STRICT;

CREATE TABLE evidence_value (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE evidence_model (
    snapshot_id INTEGER PRIMARY KEY REFERENCES snapshot (id),
    policy_id   INTEGER NOT NULL REFERENCES policy (id),
    model       TEXT NOT NULL
) STRICT;

PRAGMA user_version = 5;
