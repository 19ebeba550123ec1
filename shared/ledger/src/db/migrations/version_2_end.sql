DROP TABLE change_1;
DROP TABLE history_1;
DROP TABLE scope_1;
DROP TABLE snapshot_1;
PRAGMA user_version = 2;
