-- From version 8 to 9. `lacking` was the number of missing required tags, plus 1000 for a resource without any user tag.

ALTER TABLE snapshot RENAME COLUMN kept TO retained;

DROP INDEX current_lacking;
ALTER TABLE current RENAME COLUMN lacking TO missing_required;
ALTER TABLE current ADD COLUMN untagged INTEGER NOT NULL DEFAULT 0 CHECK (untagged IN (0, 1));
UPDATE current SET untagged = 1, missing_required = missing_required - 1000 WHERE missing_required >= 1000;
CREATE INDEX current_missing_tags ON current (untagged, missing_required, key, type_id, region_id, account_id, since)
    WHERE untagged + missing_required > 0;

ALTER TABLE history RENAME COLUMN lacking TO missing_required;
ALTER TABLE history ADD COLUMN untagged INTEGER NOT NULL DEFAULT 0 CHECK (untagged IN (0, 1));
UPDATE history SET untagged = 1, missing_required = missing_required - 1000 WHERE missing_required >= 1000;

ALTER TABLE rollup_cell RENAME COLUMN lacking TO missing_required;

ALTER TABLE bill RENAME COLUMN a TO key_a;
ALTER TABLE bill RENAME COLUMN b TO key_b;
ALTER TABLE bill_before RENAME COLUMN a TO key_a;
ALTER TABLE bill_before RENAME COLUMN b TO key_b;

ALTER TABLE evidence RENAME TO feature_counts;
ALTER TABLE evidence_value RENAME TO feature_counts_value;
ALTER TABLE evidence_model RENAME TO feature_counts_model;

PRAGMA user_version = 9;
