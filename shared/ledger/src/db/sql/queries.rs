//! What is asked: of single snapshots, of nights together, and of evidence.

/// The filter of ?2 types, ?3 regions, ?4 accounts: JSON arrays of local ids, or null for all.
macro_rules! filtered {
    () => {
        "(?2 IS NULL OR c.type_id IN (SELECT value FROM json_each(?2))) \
         AND (?3 IS NULL OR c.region_id IN (SELECT value FROM json_each(?3))) \
         AND (?4 IS NULL OR c.account_id IN (SELECT value FROM json_each(?4)))"
    };
}

/// A resource in its version: its place in an order, and what its cost follows from.
macro_rules! placed {
    ($rank:expr) => {
        concat!(
            "c.key, ",
            $rank,
            " AS rank, c.since, c.tag_set_id, c.name, c.state, c.reason, c.account_id, c.region_id, c.type_id"
        )
    };
}

/// A page by rank of those resources that are as they were in snapshot ?1.
macro_rules! page {
    ($rank:expr, $order:literal, $($condition:tt)*) => {
        concat!(
            // What a filter refuses is most of what is looked at, and hardly anything is too young: that is asked last.
            "SELECT ", placed!($rank), ", c.driver_id, c.quantity FROM current c WHERE ", filtered!(), " AND ", $($condition)*,
            " AND c.since <= ?1 ORDER BY ", $order, ", c.key DESC LIMIT ?8"
        )
    };
}

macro_rules! worst {
    ($place:literal) => {
        page!(
            "c.errors",
            "c.errors DESC",
            "c.finding_set_id IS NOT NULL AND ",
            $place,
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

macro_rules! lacking {
    ($($place:tt)*) => {
        page!(
            missing_tags_rank!("c."),
            "c.untagged DESC, c.missing_required DESC",
            missing_tags!("c."),
            " AND ",
            $($place)*,
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

    // Reading a snapshot.
    NEWEST_SNAPSHOT = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id ORDER BY s.id DESC LIMIT 1";
    BEGAN = "SELECT started_at FROM snapshot WHERE id = ?1";
    NEWEST_WHOLE = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE NOT s.narrowed ORDER BY s.id DESC LIMIT 1";
    SNAPSHOT_BY_ID = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.id = ?1 AND s.retained";
    SNAPSHOTS_SINCE = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.retained AND s.started_at >= ?1 ORDER BY s.id";
    OLDEST_KEPT = "SELECT min(started_at) FROM snapshot WHERE retained";
    /// What began and ended in nights since ?1, of a rule and types given as JSON arrays of local ids, or null for all.
    LIFE = "SELECT s.started_at, sum(l.opened), sum(l.reopened), sum(l.fixed), sum(l.removed), sum(l.dropped)
        FROM snapshot s JOIN rollup_life l ON l.snapshot_id = s.id WHERE s.started_at >= ?1
        AND (?2 IS NULL OR l.rule_id IN (SELECT value FROM json_each(?2)))
        AND (?3 IS NULL OR l.type_id IN (SELECT value FROM json_each(?3))) GROUP BY s.id";
    FIXED_DAYS = "SELECT s.started_at, f.days, f.violations FROM snapshot s JOIN rollup_fixed f ON f.snapshot_id = s.id
        WHERE s.started_at >= ?1";
    RULES = "SELECT id, code, severity, tag FROM rule";
    TAG_COUNT = "SELECT resources, non_compliant FROM rollup_tag WHERE snapshot_id = ?1 AND tag_id = ?2";
    /// Spend that must carry tags (2), and what of it cannot be attributed (3), by day and currency.
    SPEND_BY_DAY = "SELECT b.day, b.part, c.text, sum(b.micros) FROM bill b JOIN bill_text c ON c.id = b.currency_id
        WHERE b.part IN (2, 3) GROUP BY b.day, b.part, b.currency_id";
    POLICY_BODY = "SELECT body FROM policy WHERE digest = ?1";
    SCOPES = "SELECT account_id, region_id, type_id, scanned_in, listed_all, resources, unknown, stale, reason, operation,
        message FROM scope WHERE snapshot_id = ?1";
    WHOLE_SCOPES = "SELECT account_id, region_id, type_id FROM scope WHERE snapshot_id = ?1 AND reason IS NULL";
    CELLS = "SELECT account_id, region_id, type_id, compliant, non_compliant, not_applicable, unknown, exempt, untagged,
        missing_required, warned, flagged, errors, warnings FROM rollup_cell WHERE snapshot_id = ?1";
    RULE_COUNTS = "SELECT rule_id, sum(resources) FROM rollup_rule
        WHERE snapshot_id = ?1 AND (?2 IS NULL OR type_id IN (SELECT value FROM json_each(?2))) GROUP BY rule_id";
    FINDING_SET_COUNTS = concat!(
        "SELECT account_id, region_id, type_id, finding_set_id, count(*) FROM (",
        as_of!("c.account_id, c.region_id, c.type_id, c.finding_set_id", "c.finding_set_id IS NOT NULL"),
        ") GROUP BY account_id, region_id, type_id, finding_set_id"
    );
    /// Resources with findings, those with most errors first: behind ?6 among those with ?5 errors, then those with fewer.
    /// Two statements, for SQLite would look through all with ?5 errors for the place. ?7: bit 0 errors, bit 1 warnings.
    WORST_SAME = worst!("c.errors = ?5 AND c.key < ?6");
    WORST_BELOW = worst!("c.errors < ?5");
    /// Resources without user tags, then those that lack most required ones. ?7: created at that time or before it.
    LACKING_SAME = lacking!(missing_tags_of_rank!("="), " AND c.key < ?6");
    LACKING_BELOW = lacking!(missing_tags_of_rank!("<"));
    /// All of them, to be held by scope.
    WORST_OF_SCOPES = "SELECT account_id, region_id, type_id, errors, key FROM current WHERE finding_set_id IS NOT NULL";
    LACKING_OF_SCOPES = concat!(
        "SELECT account_id, region_id, type_id, ",
        missing_tags_rank!(""),
        ", key FROM current WHERE ",
        missing_tags!("")
    );
    /// Versions that held in snapshot ?1 and have ended since, of resources with findings or without tags; whether with
    /// warnings, and when those without tags were made.
    ENDED_SINCE = concat!(
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
    ENDED_VERSION = concat!(
        "SELECT ",
        placed!("0"),
        ", u.driver_id, u.quantity FROM history c LEFT JOIN current u ON u.key = c.key
        WHERE c.until = ?1 AND c.since = ?2 AND c.key = ?3"
    );
    /// Of those that lack tags, all: whether there is no user tag at all, when the resource was created, and what its cost follows from.
    LACKING_ALL = concat!(
        "SELECT l.account_id, l.region_id, l.type_id, l.untagged, l.key, r.created_at, u.driver_id, u.quantity, m.micros FROM (",
        as_of!("c.key, c.account_id, c.region_id, c.type_id, c.untagged", missing_tags!("c.")),
        ") l JOIN resource r ON r.key = l.key LEFT JOIN current u ON u.key = l.key
        LEFT JOIN resource_cost m ON m.key = l.key"
    );
    /// Resources as of a snapshot, by their keys as a JSON array.
    AS_OF_KEYS = concat!(
        "SELECT ",
        placed!("0"),
        ", c.driver_id, c.quantity FROM current c WHERE c.key IN (SELECT value FROM json_each(?2)) AND c.since <= ?1
        UNION ALL SELECT ",
        placed!("0"),
        ", u.driver_id, u.quantity FROM history c LEFT JOIN current u ON u.key = c.key WHERE ",
        ended_after!(),
        " AND c.key IN (SELECT value FROM json_each(?2)) AND c.since <= ?1"
    );
    RESOURCE_BY_KEY = "SELECT r.local, r.created_at, s.started_at, m.micros FROM resource r
        JOIN snapshot s ON s.id = r.first_seen LEFT JOIN resource_cost m ON m.key = r.key WHERE r.key = ?1";
    /// Living resources that the bill names, with what they cost.
    COSTS_BY_VERDICT = "SELECT c.account_id, c.region_id, c.type_id, c.state, c.finding_set_id, sum(m.micros), count(*)
        FROM resource_cost m CROSS JOIN current c ON c.key = m.key
        GROUP BY c.account_id, c.region_id, c.type_id, c.state, c.finding_set_id";
    TAG_VALUES = "SELECT key, count(*) FROM tag GROUP BY key";
    /// Half of the judged resources, with what their costs follow from where they are as they were.
    JUDGED_WITH_TAGS = half_with_taken!(
        "c.account_id, c.region_id, c.type_id, c.tag_set_id, c.finding_set_id",
        "c.state IN (0, 1)"
    );
    /// All of them, with what is told of a night.
    JUDGED_TO_TELL =
        as_of!("c.key, c.type_id, c.tag_set_id, c.finding_set_id, c.state, c.errors", "c.state IN (0, 1)");
    /// Versions of snapshot ?1 that had ended in ?2, of resources with keys from ?3 to ?4.
    ENDED_BETWEEN = "SELECT h.key, h.tag_set_id, h.name, h.state, h.account_id, h.region_id, h.type_id
        FROM history h WHERE h.until > ?1 AND h.until <= ?2 AND h.since <= ?1 AND h.key BETWEEN ?3 AND ?4";
    /// Versions that hold in snapshot ?2 and began after ?1.
    BEGAN_BETWEEN = concat!(
        "SELECT ",
        began!(),
        " WHERE c.since > ?1 AND c.since <= ?2 AND c.key BETWEEN ?3 AND ?4 UNION ALL ",
        began_and_ended!()
    );
    /// The same without those that came in the place of others, where every night between the two is kept: what hold still is found
    /// by what came.
    BEGAN_NEAR = concat!(
        "SELECT ",
        began!(),
        " WHERE c.key IN (SELECT key FROM arrival WHERE snapshot_id > ?1 AND snapshot_id <= ?2 AND key BETWEEN ?3 AND ?4)
        AND c.since > ?1 AND c.since <= ?2 UNION ALL ",
        began_and_ended!()
    );
    /// The current version of a resource, with the columns that its cost follows from.
    CURRENT_BY_KEY = "SELECT c.key, c.tag_set_id, c.name, c.state, c.account_id, c.region_id, c.type_id, c.since, c.driver_id,
        c.quantity, m.micros FROM current c LEFT JOIN resource_cost m ON m.key = c.key WHERE c.key = ?1";
    /// Versions that ended and resources that came in nights after ?1 and until ?2, counted up to ?3.
    CHANGES_UP_TO = "SELECT count(*) FROM (SELECT 1 FROM history WHERE until > ?1 AND until <= ?2
        UNION ALL SELECT 1 FROM arrival WHERE snapshot_id > ?1 AND snapshot_id <= ?2 LIMIT ?3)";
    THINNED_BETWEEN = "SELECT count(*) FROM snapshot WHERE id > ?1 AND id <= ?2 AND NOT retained";
    /// Living resources whose verdict at the end of snapshot ?1 was another one than now.
    TURNED_SINCE = "SELECT c.account_id, c.region_id, c.type_id, c.driver_id, c.quantity, m.micros, h.state, h.finding_set_id,
        c.state, c.finding_set_id FROM history h JOIN current c ON c.key = h.key LEFT JOIN resource_cost m ON m.key = h.key
        WHERE h.until > ?1 AND h.since <= ?1";
    /// The newest kept snapshot that began before a moment.
    SNAPSHOT_BEFORE = "SELECT s.id, s.started_at, s.finished_at, s.status, p.digest, s.requests, s.fingerprint,
        s.narrowed
        FROM snapshot s JOIN policy p ON p.id = s.policy_id WHERE s.retained AND s.started_at < ?1 ORDER BY s.id DESC LIMIT 1";
    /// Violations of ?1 that were open in snapshot ?2, each with when it was first seen.
    VIOLATIONS_OF = "SELECT v.rule_id, s.started_at FROM violation v JOIN snapshot s ON s.id = v.opened
        WHERE v.key = ?1 AND v.opened <= ?2 AND (v.closed IS NULL OR v.closed > ?2)";

    // Judging by a draft.
    ALL_TAGS = "SELECT id, key, value FROM tag";
    ALL_TAG_SETS = "SELECT id, tags FROM tag_set ORDER BY id";
    ALL_TAG_KEYS = "SELECT id, key FROM tag ORDER BY id";
    /// Half of the living resources; with their Name tag if ?5, with what names them if ?6.
    LIVING_TO_JUDGE = half_with_taken!(
        "c.key, c.account_id, c.region_id, c.type_id, c.tag_set_id, iif(?5, c.name, NULL), c.state,
        iif(?6, (SELECT r.local FROM resource r WHERE r.key = c.key), NULL)",
        "1"
    );
    /// Half of the judged resources, to be told from those that are in order.
    JUDGED_TO_FIX = half_with_taken!(
        "c.key, c.account_id, c.region_id, c.type_id, c.state, c.errors",
        "c.state IN (0, 1)"
    );

    // Suggesting.
    FEATURE_COUNTS_MODEL = "SELECT e.snapshot_id, e.model, p.digest FROM feature_counts_model e JOIN policy p ON p.id = e.policy_id";
    FEATURE_COUNTS = "SELECT counts FROM feature_counts WHERE feature = ?1";
    FEATURE_COUNTS_VALUE = "SELECT value FROM feature_counts_value WHERE id = ?1";
    FEATURE_COUNTS_VALUE_NAMED = "SELECT id FROM feature_counts_value WHERE value = ?1";
    PLACE_OF = "SELECT link_set_id, parent FROM current WHERE key = ?1";
}
