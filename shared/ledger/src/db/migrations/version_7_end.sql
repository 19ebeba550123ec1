DROP TABLE history_6;
PRAGMA user_version = 7;
