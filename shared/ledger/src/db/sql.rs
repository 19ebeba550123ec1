//! All SQL statements of the ledger, by name.

/// A snapshot is one commit, so `synchronous = FULL` costs one sync. The log is moved into the file after the commit, not during it.
pub(crate) const WRITER_PRAGMAS: &str = "
    PRAGMA busy_timeout = 0;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = OFF;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -131072;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;";

pub(crate) const COUNT_OBJECTS: &str = "SELECT count(*) FROM sqlite_schema";

/// No memory map: it is not faster, it counts as memory of the server, and a truncated file would end the process.
pub(crate) const READER_PRAGMAS: &str = "
    PRAGMA busy_timeout = 250;
    PRAGMA query_only = ON;
    PRAGMA mmap_size = 0;
    PRAGMA cache_size = -4000;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;";

pub(crate) const ALLOW_WRITES: &str = "PRAGMA query_only = OFF";

/// No ANALYZE: with the statistics of one small snapshot the query planner does not use the indexes that the tests require.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
pub(crate) const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
pub(crate) const LOCK: &str = "BEGIN IMMEDIATE";
pub(crate) const UNLOCK: &str = "ROLLBACK";

pub(crate) const RENAME_WITHOUT_REFERENCES: &str = "PRAGMA legacy_alter_table = ON";
pub(crate) const RENAME_WITH_REFERENCES: &str = "PRAGMA legacy_alter_table = OFF";

/// Migrations. Versions 2 and 7 create new tables, copy the ended states snapshot by snapshot, and drop the old tables.
pub(crate) const VERSION_2_TABLES: &str = include_str!("migrations/version_2.sql");
pub(crate) const VERSION_2_HISTORY: &str = "INSERT INTO history
    SELECT h.until, h.key, h.since, CASE (SELECT c.kind FROM change_1 c WHERE c.snapshot_id = h.until AND c.key = h.key)
        WHEN 'tags' THEN 1 WHEN 'verdict' THEN 2 WHEN 'lost' THEN 3 WHEN 'regained' THEN 4 WHEN 'removed' THEN 5
        WHEN 'left_scope' THEN 6 ELSE 7 END,
        h.tag_set_id, h.name, h.state, h.reason, h.finding_set_id, h.errors, h.lacking, h.account_id, h.region_id, h.type_id
    FROM history_1 h WHERE h.until = ?1 ORDER BY h.key";
pub(crate) const VERSION_2_END: &str = include_str!("migrations/version_2_end.sql");
pub(crate) const VERSION_3: &str = include_str!("migrations/version_3.sql");
pub(crate) const VERSION_4: &str = include_str!("migrations/version_4.sql");
pub(crate) const VERSION_5: &str = include_str!("migrations/version_5.sql");
pub(crate) const VERSION_6: &str = include_str!("migrations/version_6.sql");
pub(crate) const VERSION_7_TABLE: &str = include_str!("migrations/version_7.sql");
pub(crate) const VERSION_7_SNAPSHOTS: &str =
    "INSERT INTO history SELECT * FROM history_6 WHERE until = ?1 ORDER BY since, key";
pub(crate) const VERSION_7_END: &str = include_str!("migrations/version_7_end.sql");
pub(crate) const VERSION_8: &str = include_str!("migrations/version_8.sql");
pub(crate) const VERSION_9: &str = include_str!("migrations/version_9.sql");

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $text;)*

        /// All statements by name, for the tests.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

/// Condition for `history`: ended after snapshot ?1. By snapshot, because in each of them the states that began in one snapshot are a
/// range.
macro_rules! ended_after {
    () => {
        "c.until IN (SELECT id FROM snapshot WHERE id > ?1)"
    };
}

/// The estate as of snapshot ?1: the given columns, with a further condition.
macro_rules! as_of {
    ($columns:literal, $($condition:tt)*) => {
        concat!(
            // A filter rejects most rows, and `since` rejects hardly any, so `since` is last.
            "SELECT ", $columns, " FROM current c WHERE ", $($condition)*, " AND c.since <= ?1",
            " UNION ALL SELECT ", $columns, " FROM history c WHERE ", ended_after!(), " AND ", $($condition)*, " AND c.since <= ?1"
        )
    };
}

/// One of the two partitions of the estate as of snapshot ?1: the given columns, with a further condition. It has the current states with
/// keys from ?2 to ?3, with the columns that costs are computed from, and the states that ended in snapshots with an even id (?4 is 0) or
/// an odd id (?4 is 1).
macro_rules! partition_with_cost_columns {
    ($columns:literal, $condition:literal) => {
        concat!(
            "SELECT ",
            $columns,
            ", c.driver_id, c.quantity, m.micros FROM current c LEFT JOIN resource_cost m ON m.key = c.key",
            " WHERE c.since <= ?1 AND c.key BETWEEN ?2 AND ?3 AND ",
            $condition,
            " UNION ALL SELECT ",
            $columns,
            ", NULL, NULL, NULL FROM history c WHERE c.until IN (SELECT id FROM snapshot WHERE id > ?1 AND id % 2 = ?4)",
            " AND c.since <= ?1 AND ",
            $condition
        )
    };
}

/// The columns and the table for comparisons of current states.
macro_rules! compared_current_states {
    () => {
        "c.key, c.tag_set_id, c.name, c.state, c.account_id, c.region_id, c.type_id FROM current c"
    };
}

/// States that began after snapshot ?1, were valid in ?2, and have ended since; of resources with keys from ?3 to ?4.
macro_rules! states_begun_and_ended {
    () => {
        "SELECT key, tag_set_id, name, state, account_id, region_id, type_id FROM history
        WHERE until IN (SELECT id FROM snapshot WHERE id > ?2) AND since > ?1 AND since <= ?2 AND key BETWEEN ?3 AND ?4"
    };
}

/// The columns of `current`, as parameters.
macro_rules! current_columns {
    () => {
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    };
}

mod queries;

#[cfg(test)]
pub(crate) use queries::ALL as QUERIES;
pub(crate) use queries::*;

statements! {
    // Write a snapshot.
    ADD_POLICY = "INSERT INTO policy (digest, body) VALUES (?1, ?2)
        ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id";
    NEXT_SNAPSHOT = "SELECT coalesce(max(id), 0) + 1 FROM snapshot";
    SNAPSHOT_IDS = "SELECT id FROM snapshot ORDER BY id";
    EVALUATED_BY = "SELECT policy_id, app_version FROM snapshot WHERE id = ?1";
    ADD_SNAPSHOT = "INSERT INTO snapshot VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9)";
    ADD_ACCOUNT = "INSERT INTO account (account_id, partition, name) VALUES (?1, ?2, ?3)
        ON CONFLICT (account_id) DO UPDATE SET name = coalesce(excluded.name, name) RETURNING id";
    ADD_REGION = "INSERT INTO region (name) VALUES (?1)
        ON CONFLICT (name) DO UPDATE SET name = name RETURNING id";
    ADD_TYPE = "INSERT INTO resource_type (name) VALUES (?1)
        ON CONFLICT (name) DO UPDATE SET name = name RETURNING id";
    // RETURNING creates a temporary table each time. For rows that are added by the thousands, the connection has the new id.
    ADD_TAG = "INSERT INTO tag (key, value) VALUES (?1, ?2)";
    FIND_TAG = "SELECT id FROM tag WHERE key = ?1 AND value = ?2";
    ADD_TAG_SET = "INSERT INTO tag_set (hash, tags) VALUES (?1, ?2)";
    FIND_LINK = "SELECT id FROM link WHERE name = ?1";
    ADD_LINK = "INSERT INTO link (name) VALUES (?1)";
    FIND_LINK_SET = "SELECT id FROM link_set WHERE links = ?1";
    ADD_LINK_SET = "INSERT INTO link_set (links) VALUES (?1)";
    TAG_SET_HASH = "SELECT hash FROM tag_set WHERE id = ?1";
    ADD_RULE = "INSERT INTO rule (code, severity, tag) VALUES (?1, ?2, ?3)
        ON CONFLICT (code, severity, tag) DO UPDATE SET tag = tag RETURNING id";
    FIND_FINDING_SET = "SELECT id, rules FROM finding_set WHERE hash = ?1";
    ADD_FINDING_SET = "INSERT INTO finding_set (hash, rules, errors, warnings) VALUES (?1, ?2, ?3, ?4)";
    FINDING_SET = "SELECT hash, rules FROM finding_set WHERE id = ?1";
    FINDING_SET_RULES = "SELECT rules FROM finding_set WHERE id = ?1";
    /// Both tables are in the order of the keys.
    CURRENT_RESOURCES = "SELECT c.key, c.account_id, c.region_id, c.type_id, c.tag_set_id, c.name, c.state, c.reason, c.finding_set_id,
        c.errors, c.missing_required, c.untagged, c.driver_id, c.quantity, c.link_set_id, c.parent, r.local
        FROM current c CROSS JOIN resource r ON r.key = c.key";
    CURRENT_SCOPES = "SELECT DISTINCT account_id, region_id, type_id FROM current";
    ADD_RESOURCE = "INSERT INTO resource VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING";
    LOCAL_OF_RESOURCE = "SELECT local FROM resource WHERE key = ?1";
    /// For a resource without a row. A statement that replaces rows makes SQLite copy each changed page until the statement ends.
    ADD_CURRENT = concat!("INSERT INTO current ", current_columns!());
    PUT_CURRENT = concat!("INSERT OR REPLACE INTO current ", current_columns!());
    UPDATE_CONTEXT = "UPDATE current SET driver_id = ?2, quantity = ?3, link_set_id = ?4, parent = ?5 WHERE key = ?1";
    ADD_ENDED_STATE = "INSERT INTO history SELECT ?2, key, since, ?3, tag_set_id, name, state, reason, finding_set_id, errors,
        missing_required, account_id, region_id, type_id, untagged FROM current WHERE key = ?1";
    CORRECT_CHANGE_KIND = "UPDATE history SET ended_by = ?4 WHERE until = ?1 AND since IN (SELECT id FROM snapshot WHERE id < ?1)
        AND key = ?2 AND ended_by = ?3";
    DROP_CURRENT = "DELETE FROM current WHERE key = ?1";
    ADD_ARRIVAL = "INSERT INTO arrival VALUES (?1, ?2, ?3)";
    REPLACE_RESOURCE = "UPDATE resource SET account_id = ?2, region_id = ?3, type_id = ?4, created_at = ?5 WHERE key = ?1";
    CURRENT_STATE = "SELECT since, account_id, region_id, type_id, tag_set_id, name, state, reason, finding_set_id, errors,
        missing_required, untagged FROM current WHERE key = ?1";
    ADD_SCOPE = "INSERT INTO scope VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    DECREMENT_STALE = "UPDATE scope SET stale = stale - 1
        WHERE snapshot_id = ?1 AND account_id = ?2 AND region_id = ?3 AND type_id = ?4 AND stale > 0";
    OPEN_VIOLATIONS = "SELECT rule_id, opened FROM violation WHERE key = ?1 AND closed IS NULL";
    VIOLATION_CLOSED_BEFORE = "SELECT 1 FROM violation WHERE key = ?1 AND rule_id = ?2 AND closed IS NOT NULL LIMIT 1";
    OPEN_VIOLATION = "INSERT INTO violation (key, rule_id, opened) VALUES (?1, ?2, ?3)";
    MARK_VIOLATIONS_UNSEEN = "UPDATE violation SET last_seen = ?2 WHERE key = ?1 AND closed IS NULL AND last_seen IS NULL";
    MARK_VIOLATIONS_SEEN = "UPDATE violation SET last_seen = NULL WHERE key = ?1 AND closed IS NULL";
    CLOSE_VIOLATION = "UPDATE violation SET closed = ?3, closed_by = ?4, last_seen = coalesce(last_seen, ?5)
        WHERE key = ?1 AND rule_id = ?2 AND closed IS NULL";
    ADD_CELL = "INSERT INTO rollup_cell VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
        ?15)";
    ADD_RULE_COUNT = "INSERT INTO rollup_rule VALUES (?1, ?2, ?3, ?4)";
    ADD_VIOLATION_FLOW = "INSERT INTO rollup_life VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    ADD_FIXED = "INSERT INTO rollup_fixed VALUES (?1, ?2, ?3)";
    DROP_USAGE = "DELETE FROM usage WHERE account_id = ?1 AND region_id = ?2 AND type_id = ?3";
    ADD_USAGE = "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    ADD_TAG_COUNT = "INSERT INTO rollup_tag VALUES (?1, ?2, ?3, ?4)";

    // Bill.
    ADD_BILL_TEXT = "INSERT INTO bill_text (text) VALUES (?1) ON CONFLICT (text) DO UPDATE SET text = text RETURNING id";
    LINES_OF_DAYS = "SELECT day, part, key_a, key_b, currency_id, micros FROM bill WHERE day >= ?1 AND day < ?2";
    ADD_BILL_BEFORE = "INSERT INTO bill_before VALUES (?2, ?3, ?4, ?5, ?6, ?1, ?7) ON CONFLICT DO NOTHING";
    ADD_BILL_STATE_BEFORE = "INSERT INTO bill_known_before VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    /// The state of the bill before the first scan after snapshot ?1 that requested the bill.
    BILL_STATE_AFTER = "SELECT known FROM bill_known_before WHERE snapshot_id > ?1 ORDER BY snapshot_id LIMIT 1";
    /// For each line, the oldest amount first.
    EARLIER_BILL_AMOUNTS = "SELECT day, part, key_a, key_b, currency_id, micros FROM bill_before
        WHERE day >= ?1 AND day < ?2 AND snapshot_id > ?3
        ORDER BY day, part, key_a, key_b, currency_id, snapshot_id";
    DROP_BILL_DAYS = "DELETE FROM bill WHERE day >= ?1 AND day < ?2";
    ADD_BILL = "INSERT INTO bill VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (day, part, key_a, key_b, currency_id) DO UPDATE SET micros = micros + excluded.micros";
    PUT_BILL_MONTH = "INSERT OR REPLACE INTO bill_month VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    ADD_BILL_REQUESTS = "INSERT INTO bill_requests VALUES (?1, ?2)
        ON CONFLICT (day) DO UPDATE SET requests = requests + excluded.requests";
    DROP_ALLOCATION_TAGS = "DELETE FROM allocation_tag";
    ADD_ALLOCATION_TAG = "INSERT INTO allocation_tag VALUES (?1, ?2, ?3)";
    DROP_BILL_GAP = "DELETE FROM bill_gap";
    PUT_BILL_GAP = "INSERT INTO bill_gap VALUES (?1, ?2, ?3, ?4, ?5)";
    DROP_COST_BASIS = "DELETE FROM cost_basis";
    ADD_COST_BASIS = "INSERT INTO cost_basis VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    DROP_POOLS = "DELETE FROM usage_pool";
    ADD_POOL = "INSERT INTO usage_pool VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    DROP_CHARGED_SERVICES = "DELETE FROM charged_service";
    ADD_CHARGED_SERVICE = "INSERT INTO charged_service VALUES (?1, ?2)";
    DROP_RESOURCE_COSTS = "DELETE FROM resource_cost";
    ADD_RESOURCE_COST = "INSERT INTO resource_cost VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET micros = micros + excluded.micros";
    /// For resource types that the bill lists by resource id.
    LOCALS_OF_TYPE = "SELECT r.key, r.local FROM current c JOIN resource r ON r.key = c.key WHERE c.type_id = ?1";
    COST_BASIS = "SELECT first_day, end_day, asked_at, payer, currency, window_first, window_end, problem FROM cost_basis";
    POOLS = "SELECT t.text, a.text, r.text, p.driver_id, p.micros, p.units FROM usage_pool p
        JOIN bill_text t ON t.id = p.type JOIN bill_text a ON a.id = p.account JOIN bill_text r ON r.id = p.region";
    USAGE = "SELECT account_id, region_id, type_id, driver_id, attributable, quantity, resources FROM usage";
    CHARGED_SERVICES = "SELECT b.text, s.micros FROM charged_service s JOIN bill_text b ON b.id = s.service";
    BILL_MONTHS = "SELECT m.first_day, m.end_day, m.open_from, m.asked_at, m.metric, m.payer, p.digest, m.terms
        FROM bill_month m JOIN policy p ON p.id = m.policy_id ORDER BY m.first_day";
    BILL_REQUESTS = "SELECT coalesce(sum(requests), 0) FROM bill_requests WHERE day = ?1";
    /// Without sums and joins: SQLite would sort all lines to group them.
    BILL_LINES = "SELECT part, currency_id, key_a, key_b, micros FROM bill WHERE day >= ?1 AND day < ?2";
    /// The day of the line after the newest ?1 lines.
    BILL_DAY_OF_LINE = "SELECT day FROM bill ORDER BY day DESC LIMIT 1 OFFSET ?1";
    BILL_TEXT = "SELECT text FROM bill_text WHERE id = ?1";
    ALLOCATION_TAGS = "SELECT key, status FROM allocation_tag ORDER BY key";
    BILL_REQUESTS_NEEDED = "SELECT max((SELECT coalesce(max(requests), 0) FROM bill_month),
        (SELECT coalesce(max(needs), 0) FROM bill_gap))";
    BILL_GAP = "SELECT asked_at, reason, operation, message, needs FROM bill_gap";

    // Prune.
    RETAINED_SNAPSHOTS = "SELECT id, started_at, status FROM snapshot WHERE retained ORDER BY id";
    /// States that began after the retained snapshot ?1 and ended until the next retained snapshot ?2: no retained snapshot has them.
    DROP_ENDED_STATES = "DELETE FROM history WHERE until > ?1 AND until <= ?2 AND since > ?1";
    /// Of the changes of a line after the retained snapshot ?1 and until the next one ?2, only the oldest amount is needed.
    DROP_LINES_BETWEEN = "DELETE FROM bill_before AS later WHERE snapshot_id > ?1 AND snapshot_id <= ?2 AND EXISTS (
        SELECT 1 FROM bill_before e WHERE e.day = later.day AND e.part = later.part AND e.key_a = later.key_a AND e.key_b = later.key_b
        AND e.currency_id = later.currency_id AND e.snapshot_id > ?1 AND e.snapshot_id < later.snapshot_id)";
    DROP_BILL_STATES_BETWEEN = "DELETE FROM bill_known_before WHERE snapshot_id <= ?2 AND snapshot_id > (
        SELECT min(snapshot_id) FROM bill_known_before WHERE snapshot_id > ?1)";
    DROP_SCOPES = "DELETE FROM scope WHERE snapshot_id = ?1";
    DROP_CELLS = "DELETE FROM rollup_cell WHERE snapshot_id = ?1";
    DROP_RULE_COUNTS = "DELETE FROM rollup_rule WHERE snapshot_id = ?1";
    DROP_TAG_COUNTS = "DELETE FROM rollup_tag WHERE snapshot_id = ?1";
    DROP_ARRIVALS = "DELETE FROM arrival WHERE snapshot_id = ?1";
    DROP_INSIGHTS = "DELETE FROM told WHERE snapshot_id = ?1";
    MARK_PRUNED = "UPDATE snapshot SET retained = 0 WHERE id = ?1";
    DROP_BILL_BEFORE = "DELETE FROM bill_before WHERE snapshot_id <= ?1";
    DROP_BILL_STATES_BEFORE = "DELETE FROM bill_known_before WHERE snapshot_id <= ?1";
    DROP_OLD_VIOLATIONS = "DELETE FROM violation WHERE closed <= ?1";
    DROP_UNREFERENCED_RESOURCES = "DELETE FROM resource WHERE key NOT IN (SELECT key FROM current)
        AND key NOT IN (SELECT key FROM history) AND key NOT IN (SELECT key FROM violation)";
    DROP_UNUSED_TAG_SETS = "DELETE FROM tag_set WHERE id NOT IN (SELECT tag_set_id FROM current WHERE tag_set_id IS NOT NULL)
        AND id NOT IN (SELECT tag_set_id FROM history WHERE tag_set_id IS NOT NULL)";
    DROP_UNUSED_LINK_SETS = "DELETE FROM link_set
        WHERE id NOT IN (SELECT link_set_id FROM current WHERE link_set_id IS NOT NULL)";
    LINK_SETS = "SELECT links FROM link_set";
    LINK_IDS = "SELECT id FROM link";
    DROP_LINK = "DELETE FROM link WHERE id = ?1";
    COUNTED_TAGS = "SELECT DISTINCT tag_id FROM rollup_tag";
    TAG_SETS = "SELECT tags FROM tag_set";
    TAG_IDS = "SELECT id FROM tag";
    DROP_TAG = "DELETE FROM tag WHERE id = ?1";

    // Creators.
    TRAIL = "SELECT account_id, region_id, type_id, until FROM trail";
    ADD_TRAIL = "INSERT OR REPLACE INTO trail VALUES (?1, ?2, ?3, ?4)";
    ADD_PRINCIPAL = "INSERT INTO principal (arn) VALUES (?1) ON CONFLICT (arn) DO UPDATE SET arn = arn RETURNING id";
    ADD_CREATOR = "INSERT OR REPLACE INTO creator VALUES (?1, ?2)";
    DROP_CREATORS = "DELETE FROM creator WHERE key NOT IN (SELECT key FROM current)";
    DROP_PRINCIPALS = "DELETE FROM principal WHERE id NOT IN (SELECT principal_id FROM creator)";
    CREATOR_OF = "SELECT p.arn FROM creator w JOIN principal p ON p.id = w.principal_id WHERE w.key = ?1";

    // Train.
    /// Current resources whose tags are known, with their Name tag when their type is one of ?1, else with their local ARN.
    CURRENT_FOR_TRAINING = "SELECT c.key, c.tag_set_id, iif(c.type_id IN (SELECT value FROM json_each(?1)), c.name,
        (SELECT r.local FROM resource r WHERE r.key = c.key)), c.account_id, c.type_id, c.link_set_id, c.parent,
        w.principal_id FROM current c LEFT JOIN creator w ON w.key = c.key WHERE c.tag_set_id IS NOT NULL AND c.state <> 3";
    PRINCIPALS = "SELECT id, arn FROM principal";
    TAG_SET_OF = "SELECT tag_set_id FROM current WHERE key = ?1";
    LINK_SET = "SELECT links FROM link_set WHERE id = ?1";
    LINK = "SELECT name FROM link WHERE id = ?1";
    DROP_FEATURE_COUNTS = "DELETE FROM feature_counts";
    DROP_FEATURE_COUNTS_VALUES = "DELETE FROM feature_counts_value";
    DROP_FEATURE_COUNTS_MODEL = "DELETE FROM feature_counts_model";
    ADD_FEATURE_COUNTS = "INSERT INTO feature_counts VALUES (?1, ?2)";
    ADD_FEATURE_COUNTS_VALUE = "INSERT INTO feature_counts_value VALUES (?1, ?2)";
    ADD_FEATURE_COUNTS_MODEL = "INSERT INTO feature_counts_model SELECT id, policy_id, ?2 FROM snapshot WHERE id = ?1";

    // Insights.
    /// Retained snapshots after the last one with insights; only the newest when none has insights.
    SNAPSHOTS_WITHOUT_INSIGHTS = "SELECT id FROM snapshot WHERE retained AND id > coalesce((SELECT max(snapshot_id) FROM told),
        (SELECT max(id) FROM snapshot) - 1) ORDER BY id";
    ADD_INSIGHTS = "INSERT OR REPLACE INTO told SELECT id, ?2 FROM snapshot WHERE id = ?1 AND retained";
    SNAPSHOT_INSIGHTS = "SELECT body FROM told WHERE snapshot_id = ?1";

    // Verify and measure.
    INTEGRITY = "PRAGMA integrity_check(20)";
    TAG_SET_ROWS = "SELECT id, hash, tags FROM tag_set";
    FINDING_SETS = "SELECT id, hash, rules FROM finding_set";
    RESOURCES = "SELECT key, local, account_id, region_id, type_id FROM resource";
    CURRENT_FINDING_SETS = "SELECT key, finding_set_id FROM current WHERE state <> 3";
    SNAPSHOTS = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.retained ORDER BY s.id";
    RESOURCES_AS_OF = as_of!(
        "c.key, c.account_id, c.region_id, c.type_id, c.tag_set_id, c.name, c.state, c.reason, c.finding_set_id, c.errors,
         c.missing_required, c.untagged",
        "1"
    );
    RULE_ROWS = "SELECT rule_id, type_id, resources FROM rollup_rule WHERE snapshot_id = ?1";
    TAG_ROWS = "SELECT tag_id, resources, non_compliant FROM rollup_tag WHERE snapshot_id = ?1";
    GAP_COUNT = "SELECT count(*) FROM scope WHERE snapshot_id = ?1 AND reason IS NOT NULL";
    FREE_BYTES = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
    USAGE_COUNTED = "SELECT account_id, region_id, type_id, driver_id, state, finding_set_id, sum(quantity), count(*)
        FROM current WHERE driver_id IS NOT NULL
        GROUP BY account_id, region_id, type_id, driver_id, state, finding_set_id";
    /// Errors that were fixed in snapshots after ?1, by the number of days that they were open.
    FIXED_COUNTED = "SELECT v.closed, c.started_at / 86400 - o.started_at / 86400 AS days, count(*)
        FROM violation v JOIN snapshot o ON o.id = v.opened JOIN snapshot c ON c.id = v.closed
        JOIN rule e ON e.id = v.rule_id AND e.severity = 'error'
        WHERE v.closed > ?1 AND v.closed_by = 'fixed' GROUP BY v.closed, days";
    FIXED_RECORDED = "SELECT snapshot_id, days, violations FROM rollup_fixed WHERE snapshot_id > ?1 ORDER BY snapshot_id, days";
    /// Opened and closed violations in snapshots after ?1, counted from the violations.
    VIOLATION_FLOW_COUNTED = "SELECT snapshot_id, rule_id, type_id, sum(opened), sum(fixed), sum(removed), sum(dropped) FROM (
        SELECT v.opened AS snapshot_id, v.rule_id, r.type_id, 1 AS opened, 0 AS fixed, 0 AS removed, 0 AS dropped
        FROM violation v JOIN resource r ON r.key = v.key WHERE v.opened > ?1
        UNION ALL
        SELECT v.closed, v.rule_id, r.type_id, 0, v.closed_by = 'fixed', v.closed_by = 'removed', v.closed_by = 'policy'
        FROM violation v JOIN resource r ON r.key = v.key WHERE v.closed > ?1
    ) GROUP BY snapshot_id, rule_id, type_id";
    VIOLATION_FLOW_RECORDED = "SELECT snapshot_id, rule_id, type_id, opened, fixed, removed, dropped FROM rollup_life
        WHERE snapshot_id > ?1 ORDER BY snapshot_id, rule_id, type_id";
    COUNT_RETAINED = "SELECT count(*) FROM snapshot WHERE retained";
    COUNT_PRUNED = "SELECT count(*) FROM snapshot WHERE NOT retained";
    RETAINED_SPAN = "SELECT min(started_at), max(started_at) FROM snapshot WHERE retained";
    COUNT_CURRENT = "SELECT count(*) FROM current";
    COUNT_RESOURCES = "SELECT count(*) FROM resource";
    COUNT_ENDED_STATES = "SELECT count(*) FROM history";
    COUNT_OPEN = "SELECT count(*) FROM violation WHERE closed IS NULL";
    COUNT_CLOSED = "SELECT count(*) FROM violation WHERE closed IS NOT NULL";
    TABLE_SIZES = "SELECT name, pgsize FROM dbstat WHERE aggregate = 1 ORDER BY pgsize DESC, name";
    COPY_INTO = "VACUUM INTO ?1";
}
