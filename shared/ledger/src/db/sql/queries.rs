//! Statements that only read: one snapshot, the history of snapshots, and the data for predictions.

/// Condition: a type in ?2, a region in ?3 and an account in ?4. Each parameter is a JSON array of row ids, or null for all.
macro_rules! in_scope_filter {
    () => {
        "(?2 IS NULL OR c.type_id IN (SELECT value FROM json_each(?2))) \
         AND (?3 IS NULL OR c.region_id IN (SELECT value FROM json_each(?3))) \
         AND (?4 IS NULL OR c.account_id IN (SELECT value FROM json_each(?4)))"
    };
}

/// The columns of a listed resource: its key, its rank in the list, its state and its scope.
macro_rules! listed_columns {
    ($rank:expr) => {
        concat!(
            "c.key, ",
            $rank,
            " AS rank, c.since, c.tag_set_id, c.name, c.state, c.reason, c.account_id, c.region_id, c.type_id"
        )
    };
}

/// A page, by rank, of the current resources whose state has not changed since snapshot ?1.
macro_rules! page {
    ($rank:expr, $order:literal, $($condition:tt)*) => {
        concat!(
            // A filter rejects most rows, and `since` rejects hardly any, so `since` is last.
            "SELECT ", listed_columns!($rank), ", c.driver_id, c.quantity FROM current c WHERE ", in_scope_filter!(), " AND ", $($condition)*,
            " AND c.since <= ?1 ORDER BY ", $order, ", c.key DESC LIMIT ?8"
        )
    };
}

macro_rules! findings_page {
    ($position:literal) => {
        page!(
            "c.errors",
            "c.errors DESC",
            "c.finding_set_id IS NOT NULL AND ",
            $position,
            " AND (?7 & 1 AND c.errors > 0
             OR ?7 & 2 AND c.finding_set_id IN (SELECT id FROM finding_set WHERE warnings > 0))"
        )
    };
}

/// The condition of the partial index `current_missing_tags`. SQLite uses that index only for a statement that has this very text.
macro_rules! missing_tags {
    ($table:literal) => {
        concat!("(", $table, "untagged + ", $table, "missing_required > 0)")
    };
}

/// The rank of a resource in the list of missing tags, as one number for page tokens: resources without any user tag first, then by
/// the number of required tags that are missing. The lower 16 bits are that number.
macro_rules! missing_tags_rank {
    ($table:literal) => {
        concat!("(", $table, "untagged << 16) + ", $table, "missing_required")
    };
}

/// Compares a resource with rank ?5 of `missing_tags_rank`. The parts are compared as columns, because the index has them as columns.
macro_rules! missing_tags_of_rank {
    ($comparison:literal) => {
        concat!("(c.untagged, c.missing_required) ", $comparison, " (?5 >> 16, ?5 & 65535)")
    };
}

macro_rules! missing_tags_page {
    ($($position:tt)*) => {
        page!(
            missing_tags_rank!("c."),
            "c.untagged DESC, c.missing_required DESC",
            missing_tags!("c."),
            " AND ",
            $($position)*,
            " AND (?7 IS NULL OR (SELECT r.created_at FROM resource r WHERE r.key = c.key) <= ?7)"
        )
    };
}

statements! {
    // Dimensions.
    ACCOUNTS = "SELECT id, account_id, partition, name FROM account";
    REGIONS = "SELECT id, name FROM region";
    TYPES = "SELECT id, name FROM resource_type";
    TAGS_OF_SET = "SELECT tags FROM tag_set WHERE id = ?1";
    TAG_BY_ID = "SELECT key, value FROM tag WHERE id = ?1";
    RULE_BY_ID = "SELECT code, severity, tag FROM rule WHERE id = ?1";

    // Read a snapshot.
    NEWEST_SNAPSHOT = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id ORDER BY s.id DESC LIMIT 1";
    SNAPSHOT_STARTED_AT = "SELECT started_at FROM snapshot WHERE id = ?1";
    NEWEST_FULL_SNAPSHOT = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE NOT s.narrowed ORDER BY s.id DESC LIMIT 1";
    SNAPSHOT_BY_ID = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.id = ?1 AND s.retained";
    SNAPSHOTS_SINCE = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.retained AND s.started_at >= ?1 ORDER BY s.id";
    OLDEST_RETAINED = "SELECT min(started_at) FROM snapshot WHERE retained";
    /// Opened and closed violations of the snapshots that began at ?1 or later. Rules in ?2 and types in ?3 are JSON arrays of row ids, or
    /// null for all.
    VIOLATION_FLOW = "SELECT s.started_at, sum(l.opened), sum(l.reopened), sum(l.fixed), sum(l.removed), sum(l.dropped)
        FROM snapshot s JOIN rollup_life l ON l.snapshot_id = s.id WHERE s.started_at >= ?1
        AND (?2 IS NULL OR l.rule_id IN (SELECT value FROM json_each(?2)))
        AND (?3 IS NULL OR l.type_id IN (SELECT value FROM json_each(?3))) GROUP BY s.id";
    FIXED_DAYS = "SELECT s.started_at, f.days, f.violations FROM snapshot s JOIN rollup_fixed f ON f.snapshot_id = s.id
        WHERE s.started_at >= ?1";
    RULES = "SELECT id, code, severity, tag FROM rule";
    TAG_COUNT = "SELECT resources, non_compliant FROM rollup_tag WHERE snapshot_id = ?1 AND tag_id = ?2";
    /// Spend that must carry tags (part 2) and the part of it that cannot be attributed (part 3), by day and currency.
    SPEND_BY_DAY = "SELECT b.day, b.part, c.text, sum(b.micros) FROM bill b JOIN bill_text c ON c.id = b.currency_id
        WHERE b.part IN (2, 3) GROUP BY b.day, b.part, b.currency_id";
    POLICY_BODY = "SELECT body FROM policy WHERE digest = ?1";
    SCOPES = "SELECT account_id, region_id, type_id, scanned_in, listed_all, resources, unknown, stale, reason, operation,
        message FROM scope WHERE snapshot_id = ?1";
    COMPLETE_SCOPES = "SELECT account_id, region_id, type_id FROM scope WHERE snapshot_id = ?1 AND reason IS NULL";
    CELLS = "SELECT account_id, region_id, type_id, compliant, non_compliant, not_applicable, unknown, exempt, untagged,
        missing_required, warned, flagged, errors, warnings FROM rollup_cell WHERE snapshot_id = ?1";
    RULE_COUNTS = "SELECT rule_id, sum(resources) FROM rollup_rule
        WHERE snapshot_id = ?1 AND (?2 IS NULL OR type_id IN (SELECT value FROM json_each(?2))) GROUP BY rule_id";
    FINDING_SET_COUNTS = concat!(
        "SELECT account_id, region_id, type_id, finding_set_id, count(*) FROM (",
        as_of!("c.account_id, c.region_id, c.type_id, c.finding_set_id", "c.finding_set_id IS NOT NULL"),
        ") GROUP BY account_id, region_id, type_id, finding_set_id"
    );
    /// Resources with findings, those with the most errors first. The first statement reads those with ?5 errors and a key below ?6, the
    /// second one those with fewer errors. With one statement, SQLite would scan all resources with ?5 errors to find the key. ?7 selects
    /// severities: bit 0 errors, bit 1 warnings.
    FINDINGS_SAME_RANK = findings_page!("c.errors = ?5 AND c.key < ?6");
    FINDINGS_LOWER_RANKS = findings_page!("c.errors < ?5");
    /// Resources without user tags, then those with the most missing required tags. With ?7, only resources that were created at that time
    /// or earlier.
    MISSING_TAGS_SAME_RANK = missing_tags_page!(missing_tags_of_rank!("="), " AND c.key < ?6");
    MISSING_TAGS_LOWER_RANKS = missing_tags_page!(missing_tags_of_rank!("<"));
    /// All current resources of these two lists, for the index by scope.
    CURRENT_WITH_FINDINGS = "SELECT account_id, region_id, type_id, errors, key FROM current WHERE finding_set_id IS NOT NULL";
    CURRENT_MISSING_TAGS = concat!(
        "SELECT account_id, region_id, type_id, ",
        missing_tags_rank!(""),
        ", key FROM current WHERE ",
        missing_tags!("")
    );
    /// States of snapshot ?1 that have ended since, of resources with findings or missing tags. The last two columns are: whether there
    /// are warnings, and when a resource with missing tags was created.
    SUPERSEDED_SINCE = concat!(
        "SELECT c.key, c.since, c.until, c.errors, ",
        missing_tags_rank!("c."),
        ", c.account_id, c.region_id, c.type_id,
         c.finding_set_id IN (SELECT id FROM finding_set WHERE warnings > 0) IS TRUE,
         CASE WHEN ",
        missing_tags!("c."),
        " THEN (SELECT r.created_at FROM resource r WHERE r.key = c.key) END FROM history c WHERE ",
        ended_after!(),
        " AND c.since <= ?1 AND (",
        missing_tags!("c."),
        " OR c.finding_set_id IS NOT NULL)"
    );
    SUPERSEDED_STATE = concat!(
        "SELECT ",
        listed_columns!("0"),
        ", u.driver_id, u.quantity FROM history c LEFT JOIN current u ON u.key = c.key
        WHERE c.until = ?1 AND c.since = ?2 AND c.key = ?3"
    );
    /// All resources with missing tags as of snapshot ?1: whether there is no user tag, the creation time, and the columns that costs are
    /// computed from.
    MISSING_TAGS_AS_OF = concat!(
        "SELECT l.account_id, l.region_id, l.type_id, l.untagged, l.key, r.created_at, u.driver_id, u.quantity, m.micros FROM (",
        as_of!("c.key, c.account_id, c.region_id, c.type_id, c.untagged", missing_tags!("c.")),
        ") l JOIN resource r ON r.key = l.key LEFT JOIN current u ON u.key = l.key
        LEFT JOIN resource_cost m ON m.key = l.key"
    );
    /// Resources as of snapshot ?1 with the keys in the JSON array ?2.
    RESOURCES_AS_OF_BY_KEY = concat!(
        "SELECT ",
        listed_columns!("0"),
        ", c.driver_id, c.quantity FROM current c WHERE c.key IN (SELECT value FROM json_each(?2)) AND c.since <= ?1
        UNION ALL SELECT ",
        listed_columns!("0"),
        ", u.driver_id, u.quantity FROM history c LEFT JOIN current u ON u.key = c.key WHERE ",
        ended_after!(),
        " AND c.key IN (SELECT value FROM json_each(?2)) AND c.since <= ?1"
    );
    RESOURCE_BY_KEY = "SELECT r.local, r.created_at, s.started_at, m.micros FROM resource r
        JOIN snapshot s ON s.id = r.first_seen LEFT JOIN resource_cost m ON m.key = r.key WHERE r.key = ?1";
    /// Costs of the current resources that the bill lists by resource ID.
    COSTS_BY_VERDICT = "SELECT c.account_id, c.region_id, c.type_id, c.state, c.finding_set_id, sum(m.micros), count(*)
        FROM resource_cost m CROSS JOIN current c ON c.key = m.key
        GROUP BY c.account_id, c.region_id, c.type_id, c.state, c.finding_set_id";
    COUNT_TAG_VALUES = "SELECT key, count(*) FROM tag GROUP BY key";
    /// A partition of the compliant and non-compliant resources, with their tag sets.
    EVALUATED_WITH_TAGS = partition_with_cost_columns!(
        "c.account_id, c.region_id, c.type_id, c.tag_set_id, c.finding_set_id",
        "c.state IN (0, 1)"
    );
    /// All compliant and non-compliant resources, with the columns for the insights of a snapshot.
    EVALUATED_FOR_INSIGHTS =
        as_of!("c.key, c.type_id, c.tag_set_id, c.finding_set_id, c.state, c.errors", "c.state IN (0, 1)");
    /// States of snapshot ?1 that ended in snapshot ?2 or earlier, of resources with keys from ?3 to ?4.
    STATES_ENDED_BETWEEN = "SELECT h.key, h.tag_set_id, h.name, h.state, h.account_id, h.region_id, h.type_id
        FROM history h WHERE h.until > ?1 AND h.until <= ?2 AND h.since <= ?1 AND h.key BETWEEN ?3 AND ?4";
    /// States of snapshot ?2 that began after snapshot ?1.
    STATES_BEGUN_BETWEEN = concat!(
        "SELECT ",
        compared_current_states!(),
        " WHERE c.since > ?1 AND c.since <= ?2 AND c.key BETWEEN ?3 AND ?4 UNION ALL ",
        states_begun_and_ended!()
    );
    /// The same, without current states that replaced another state: current states are found by the arrivals of their resources. Every
    /// snapshot between the two must be retained, because pruning deletes arrivals.
    ARRIVED_OR_SUPERSEDED_BETWEEN = concat!(
        "SELECT ",
        compared_current_states!(),
        " WHERE c.key IN (SELECT key FROM arrival WHERE snapshot_id > ?1 AND snapshot_id <= ?2 AND key BETWEEN ?3 AND ?4)
        AND c.since > ?1 AND c.since <= ?2 UNION ALL ",
        states_begun_and_ended!()
    );
    /// The current state of a resource, with the columns that its cost is computed from.
    CURRENT_STATE_WITH_COST = "SELECT c.key, c.tag_set_id, c.name, c.state, c.account_id, c.region_id, c.type_id, c.since, c.driver_id,
        c.quantity, m.micros FROM current c LEFT JOIN resource_cost m ON m.key = c.key WHERE c.key = ?1";
    /// The number of states that ended and of resources that arrived after snapshot ?1 and until snapshot ?2, counted up to ?3.
    COUNT_CHANGES_UP_TO = "SELECT count(*) FROM (SELECT 1 FROM history WHERE until > ?1 AND until <= ?2
        UNION ALL SELECT 1 FROM arrival WHERE snapshot_id > ?1 AND snapshot_id <= ?2 LIMIT ?3)";
    COUNT_PRUNED_BETWEEN = "SELECT count(*) FROM snapshot WHERE id > ?1 AND id <= ?2 AND NOT retained";
    /// Current resources whose state of snapshot ?1 has ended, with the verdicts of that state and of the current one.
    VERDICTS_CHANGED_SINCE = "SELECT c.account_id, c.region_id, c.type_id, c.driver_id, c.quantity, m.micros, h.state, h.finding_set_id,
        c.state, c.finding_set_id FROM history h JOIN current c ON c.key = h.key LEFT JOIN resource_cost m ON m.key = h.key
        WHERE h.until > ?1 AND h.since <= ?1";
    /// The newest retained snapshot that began before ?1.
    SNAPSHOT_BEFORE = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.retained AND s.started_at < ?1 ORDER BY s.id DESC LIMIT 1";
    /// Violations of resource ?1 that were open in snapshot ?2, each with the time when it was first seen.
    VIOLATIONS_OPEN_AS_OF = "SELECT v.rule_id, s.started_at FROM violation v JOIN snapshot s ON s.id = v.opened
        WHERE v.key = ?1 AND v.opened <= ?2 AND (v.closed IS NULL OR v.closed > ?2)";

    // Simulate a draft policy.
    ALL_TAGS = "SELECT id, key, value FROM tag";
    ALL_TAG_SETS = "SELECT id, tags FROM tag_set ORDER BY id";
    ALL_TAG_KEYS = "SELECT id, key FROM tag ORDER BY id";
    /// A partition of all resources, with their Name tags when ?5 is true and their local ARNs when ?6 is true.
    ALL_FOR_SIMULATION = partition_with_cost_columns!(
        "c.key, c.account_id, c.region_id, c.type_id, c.tag_set_id, iif(?5, c.name, NULL), c.state,
        iif(?6, (SELECT r.local FROM resource r WHERE r.key = c.key), NULL)",
        "1"
    );
    /// A partition of the compliant and non-compliant resources, with their numbers of errors.
    EVALUATED_FOR_REMEDIATION = partition_with_cost_columns!(
        "c.key, c.account_id, c.region_id, c.type_id, c.state, c.errors",
        "c.state IN (0, 1)"
    );

    // Predict tag values.
    FEATURE_COUNTS_MODEL = "SELECT e.snapshot_id, e.model, p.digest FROM feature_counts_model e JOIN policy p ON p.id = e.policy_id";
    FEATURE_COUNTS = "SELECT counts FROM feature_counts WHERE feature = ?1";
    FEATURE_COUNTS_VALUE = "SELECT value FROM feature_counts_value WHERE id = ?1";
    FEATURE_COUNTS_VALUE_ID = "SELECT id FROM feature_counts_value WHERE value = ?1";
    RELATIONSHIPS_OF = "SELECT link_set_id, parent FROM current WHERE key = ?1";
}
