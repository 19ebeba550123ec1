//! The cost of queries in steps of SQLite's virtual machine, which does not depend on the machine or its load.

use rusqlite::{
    StatementStatus, ToSql, params_from_iter,
    types::{Null, Value},
};
use tagledger_model::inventory::Resource;

use crate::{
    db::{connection::open_read_only, sql},
    tests::{COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, TestLedger, UNTAGGED, complete, instance, instances},
};

/// A snapshot of instances, three in four of which have findings, and a second one in which one in fifty changed.
fn estate(resources: usize) -> TestLedger {
    let mut ledger = TestLedger::new();
    let all = |changed: bool| -> Vec<Resource> {
        let tags = |n: usize| {
            [INVALID_VALUE, UNTAGGED, MISSPELLED_KEY, COMPLIANT][(n + usize::from(changed && n.is_multiple_of(50))) % 4]
        };
        (0..resources).map(|n| instance(&format!("{n:x}"), tags(n))).collect()
    };
    ledger.record_snapshot(&[(instances(), complete(all(false)))]);
    ledger.record_snapshot(&[(instances(), complete(all(true)))]);
    ledger
}

/// The steps of a statement and the number of its rows.
fn steps(ledger: &TestLedger, text: &str, parameters: &[&dyn ToSql]) -> (i32, usize) {
    let connection = open_read_only(&ledger.path()).unwrap();
    let mut statement = connection.prepare(text).unwrap();
    let mut rows = statement.query(parameters).unwrap();
    let mut count = 0;
    while rows.next().unwrap().is_some() {
        count += 1;
    }
    drop(rows);
    (statement.get_status(StatementStatus::VmStep), count)
}

/// A page of the newest snapshot takes about the same number of SQLite virtual machine steps at any start key and for
/// ledgers of 1,000 and 8,000 resources.
#[test]
fn page_cost_is_independent_of_offset_and_size() {
    let (small, large) = (estate(1_000), estate(8_000));
    let middle = i64::MAX / 2;
    for (name, text) in
        [("findings, same rank", sql::FINDINGS_SAME_RANK), ("missing tags, same rank", sql::MISSING_TAGS_SAME_RANK)]
    {
        let filter: &dyn ToSql = if text == sql::FINDINGS_SAME_RANK { &3 } else { &Null };
        for rank in [1, 2, (1 << 16) + 2] {
            let page_steps = |ledger: &TestLedger, key: i64| {
                steps(ledger, text, &[&2, &Null, &Null, &Null, &rank, &key, filter, &51])
            };
            let (cost, rows) = page_steps(&large, middle);
            assert!(cost < 60 * 51 + 200, "{name}, rank {rank}: {cost} steps for {rows} rows");
            let (first_page, _) = page_steps(&large, i64::MAX);
            let (small_ledger, _) = page_steps(&small, i64::MAX);
            assert!((cost - first_page).abs() < 400, "{name}, rank {rank}: {cost} and {first_page} steps");
            assert!(
                (small_ledger - first_page).abs() < 400,
                "{name}, rank {rank}: {small_ledger} and {first_page} steps"
            );
        }
    }
    let (cost, rows) = steps(&large, sql::FINDINGS_LOWER_RANKS, &[&2, &Null, &Null, &Null, &i64::MAX, &0, &3, &51]);
    assert!(rows == 51 && cost < 60 * 51 + 200, "{cost} steps for {rows} rows");
}

/// Every statement with its name.
fn all_statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    sql::ALL.iter().chain(sql::QUERIES).copied()
}

/// The steps that a statement may take.
#[derive(Debug, Clone, Copy)]
enum Budget {
    /// The same for every size of the ledger.
    Fixed(i32),
    /// For each resource of the estate, because the statement reads all of them.
    Each(i32),
    /// Not measurable: SQLite does the work within one step.
    Uncounted,
}

use Budget::{Each, Fixed, Uncounted};

/// Every statement, its budget and its parameters. `KEY` is the key of an existing resource, and `-` is null.
const BUDGETS: &[(&str, Budget, &str)] = &[
    ("ADD_POLICY", Fixed(35), "d {}"),
    ("NEXT_SNAPSHOT", Fixed(20), ""),
    ("SNAPSHOT_IDS", Fixed(15), ""),
    ("EVALUATED_BY", Fixed(15), "2"),
    ("ADD_SNAPSHOT", Fixed(55), "9 1 2 complete 0 1 v 1 1"),
    ("ADD_ACCOUNT", Fixed(45), "999999999999 aws -"),
    ("ADD_REGION", Fixed(35), "us-east-1"),
    ("ADD_TYPE", Fixed(35), "s3:bucket"),
    ("ADD_TAG", Fixed(40), "K V"),
    ("FIND_TAG", Fixed(15), "CostCenter Sales"),
    ("ADD_TAG_SET", Fixed(35), "5 blob"),
    ("FIND_LINK", Fixed(15), "vpc"),
    ("ADD_LINK", Fixed(35), "vpc"),
    ("FIND_LINK_SET", Fixed(15), "blob"),
    ("ADD_LINK_SET", Fixed(35), "blob"),
    ("TAG_SET_HASH", Fixed(15), "1"),
    ("ADD_RULE", Fixed(45), "MISSING error K"),
    ("FIND_FINDING_SET", Fixed(18), "5"),
    ("ADD_FINDING_SET", Fixed(40), "5 blob 1 1"),
    ("FINDING_SET", Fixed(15), "1"),
    ("FINDING_SET_RULES", Fixed(15), "1"),
    ("CURRENT_RESOURCES", Each(30), ""),
    ("CURRENT_SCOPES", Each(8), ""),
    ("ADD_RESOURCE", Fixed(30), "5 1 1 1 i-5 - 2"),
    ("LOCAL_OF_RESOURCE", Fixed(15), "KEY"),
    ("ADD_CURRENT", Fixed(110), "5 2 1 - 0 - 1 1 1 1 1 1 1 1 1 1 0"),
    ("PUT_CURRENT", Fixed(130), "5 2 1 - 0 - 1 1 1 1 1 1 1 1 1 1 0"),
    ("UPDATE_CONTEXT", Fixed(65), "KEY 1 1 1 1"),
    ("ADD_ENDED_STATE", Fixed(80), "KEY 3 1"),
    ("CORRECT_CHANGE_KIND", Fixed(60), "3 KEY 1 2"),
    ("DROP_CURRENT", Fixed(50), "KEY"),
    ("ADD_ARRIVAL", Fixed(30), "3 KEY 0"),
    ("REPLACE_RESOURCE", Fixed(30), "KEY 1 1 1 -"),
    ("CURRENT_STATE", Fixed(30), "KEY"),
    ("ADD_SCOPE", Fixed(60), "3 1 1 1 3 1 1 0 0 - - -"),
    ("DECREMENT_STALE", Fixed(30), "2 1 1 1"),
    ("OPEN_VIOLATIONS", Fixed(25), "KEY"),
    ("VIOLATION_CLOSED_BEFORE", Fixed(20), "KEY 1"),
    ("OPEN_VIOLATION", Fixed(60), "5 1 3"),
    ("MARK_VIOLATIONS_UNSEEN", Fixed(75), "KEY 2"),
    ("MARK_VIOLATIONS_SEEN", Fixed(70), "KEY"),
    ("CLOSE_VIOLATION", Fixed(15), "KEY 1 3 fixed 2"),
    ("ADD_CELL", Fixed(65), "3 1 1 1 0 0 0 0 0 0 0 0 0 0 0"),
    ("ADD_RULE_COUNT", Fixed(30), "3 1 1 1"),
    ("ADD_VIOLATION_FLOW", Fixed(40), "3 1 1 1 0 0 0 0"),
    ("ADD_FIXED", Fixed(30), "3 1 1"),
    ("DROP_USAGE", Fixed(20), "1 1 1"),
    ("ADD_USAGE", Fixed(40), "1 1 1 1 1 1 1"),
    ("ADD_TAG_COUNT", Fixed(30), "3 1 1 1"),
    ("ADD_BILL_TEXT", Fixed(40), "AWS"),
    ("LINES_OF_DAYS", Fixed(40), "1 2"),
    ("ADD_BILL_BEFORE", Fixed(60), "1 1 1 1 1 1 1"),
    ("ADD_BILL_STATE_BEFORE", Fixed(40), "9 x"),
    ("BILL_STATE_AFTER", Fixed(20), "1"),
    ("EARLIER_BILL_AMOUNTS", Fixed(25), "1 2 1"),
    ("DROP_BILL_DAYS", Fixed(20), "1 2"),
    ("ADD_BILL", Fixed(60), "1 1 1 1 1 1"),
    ("PUT_BILL_MONTH", Fixed(60), "1 2 - 1 1 NetAmortizedCost p 1 t 1"),
    ("ADD_BILL_REQUESTS", Fixed(40), "1 1"),
    ("DROP_ALLOCATION_TAGS", Fixed(15), ""),
    ("ADD_ALLOCATION_TAG", Fixed(40), "K active 1"),
    ("DROP_BILL_GAP", Fixed(15), ""),
    ("PUT_BILL_GAP", Fixed(45), "1 denied o m 1"),
    ("DROP_COST_BASIS", Fixed(15), ""),
    ("ADD_COST_BASIS", Fixed(60), "1 2 3 p USD - - x"),
    ("DROP_POOLS", Fixed(15), ""),
    ("ADD_POOL", Fixed(40), "1 1 1 1 1 1"),
    ("DROP_CHARGED_SERVICES", Fixed(15), ""),
    ("ADD_CHARGED_SERVICE", Fixed(20), "1 1"),
    ("DROP_RESOURCE_COSTS", Fixed(15), ""),
    ("ADD_RESOURCE_COST", Fixed(30), "KEY 1"),
    ("LOCALS_OF_TYPE", Each(9), "1"),
    ("COST_BASIS", Fixed(20), ""),
    ("POOLS", Fixed(30), ""),
    ("USAGE", Fixed(20), ""),
    ("CHARGED_SERVICES", Fixed(20), ""),
    ("BILL_MONTHS", Fixed(25), ""),
    ("BILL_REQUESTS", Fixed(25), "1"),
    ("BILL_LINES", Fixed(25), "1 2"),
    ("BILL_DAY_OF_LINE", Fixed(20), "1"),
    ("BILL_TEXT", Fixed(20), "1"),
    ("ALLOCATION_TAGS", Fixed(20), ""),
    ("BILL_REQUESTS_NEEDED", Fixed(50), ""),
    ("BILL_GAP", Fixed(20), ""),
    ("RETAINED_SNAPSHOTS", Fixed(25), ""),
    ("DROP_ENDED_STATES", Each(1), "1 2"),
    ("DROP_LINES_BETWEEN", Fixed(40), "0 1"),
    ("DROP_BILL_STATES_BETWEEN", Fixed(40), "0 1"),
    ("DROP_SCOPES", Fixed(20), "2"),
    ("DROP_CELLS", Fixed(20), "2"),
    ("DROP_RULE_COUNTS", Fixed(40), "2"),
    ("DROP_TAG_COUNTS", Fixed(35), "2"),
    ("DROP_ARRIVALS", Fixed(15), "2"),
    ("DROP_INSIGHTS", Fixed(15), "2"),
    ("MARK_PRUNED", Fixed(35), "1"),
    ("DROP_BILL_BEFORE", Fixed(25), "0"),
    ("DROP_BILL_STATES_BEFORE", Fixed(25), "0"),
    ("DROP_OLD_VIOLATIONS", Each(5), "2"),
    ("DROP_UNREFERENCED_RESOURCES", Each(7), ""),
    ("DROP_UNUSED_TAG_SETS", Each(8), ""),
    ("DROP_UNUSED_LINK_SETS", Each(8), ""),
    ("LINK_SETS", Fixed(15), ""),
    ("LINK_IDS", Fixed(15), ""),
    ("DROP_LINK", Fixed(20), "1"),
    ("COUNTED_TAGS", Fixed(50), ""),
    ("TAG_SETS", Fixed(25), ""),
    ("TAG_IDS", Fixed(25), ""),
    ("DROP_TAG", Fixed(20), "1"),
    ("TRAIL", Fixed(20), ""),
    ("ADD_TRAIL", Fixed(30), "1 1 1 5"),
    ("ADD_PRINCIPAL", Fixed(45), "arn"),
    ("ADD_CREATOR", Fixed(30), "KEY 1"),
    ("DROP_CREATORS", Fixed(20), ""),
    ("DROP_PRINCIPALS", Fixed(20), ""),
    ("CREATOR_OF", Fixed(20), "KEY"),
    ("CURRENT_FOR_TRAINING", Each(32), "[1]"),
    ("PRINCIPALS", Fixed(15), ""),
    ("TAG_SET_OF", Fixed(15), "KEY"),
    ("LINK_SET", Fixed(15), "1"),
    ("LINK", Fixed(15), "1"),
    ("DROP_FEATURE_COUNTS", Fixed(15), ""),
    ("DROP_FEATURE_COUNTS_VALUES", Fixed(15), ""),
    ("DROP_FEATURE_COUNTS_MODEL", Fixed(15), ""),
    ("ADD_FEATURE_COUNTS", Fixed(25), "5 blob"),
    ("ADD_FEATURE_COUNTS_VALUE", Fixed(40), "5 Sales"),
    ("ADD_FEATURE_COUNTS_MODEL", Fixed(40), "2 {}"),
    ("SNAPSHOTS_WITHOUT_INSIGHTS", Fixed(45), ""),
    ("ADD_INSIGHTS", Fixed(35), "2 {}"),
    ("SNAPSHOT_INSIGHTS", Fixed(15), "2"),
    ("INTEGRITY", Uncounted, ""),
    ("TAG_SET_ROWS", Fixed(30), ""),
    ("FINDING_SETS", Fixed(25), ""),
    ("RESOURCES", Each(8), ""),
    ("CURRENT_FINDING_SETS", Each(7), ""),
    ("SNAPSHOTS", Fixed(45), ""),
    ("RESOURCES_AS_OF", Each(20), "2"),
    ("RULE_ROWS", Fixed(40), "2"),
    ("TAG_ROWS", Fixed(40), "2"),
    ("GAP_COUNT", Fixed(20), "2"),
    ("FREE_BYTES", Fixed(25), ""),
    ("USAGE_COUNTED", Each(10), ""),
    ("FIXED_COUNTED", Each(20), "0"),
    ("FIXED_RECORDED", Fixed(20), "0"),
    ("VIOLATION_FLOW_COUNTED", Each(60), "0"),
    ("VIOLATION_FLOW_RECORDED", Fixed(60), "0"),
    ("COUNT_RETAINED", Fixed(25), ""),
    ("COUNT_PRUNED", Fixed(20), ""),
    ("RETAINED_SPAN", Fixed(35), ""),
    ("COUNT_CURRENT", Fixed(15), ""),
    ("COUNT_RESOURCES", Fixed(15), ""),
    ("COUNT_ENDED_STATES", Fixed(15), ""),
    ("COUNT_OPEN", Each(6), ""),
    ("COUNT_CLOSED", Each(5), ""),
    ("TABLE_SIZES", Uncounted, ""),
    ("COPY_INTO", Uncounted, ""),
    ("ACCOUNTS", Fixed(15), ""),
    ("REGIONS", Fixed(15), ""),
    ("TYPES", Fixed(15), ""),
    ("TAGS_OF_SET", Fixed(15), "1"),
    ("TAG_BY_ID", Fixed(15), "1"),
    ("RULE_BY_ID", Fixed(15), "1"),
    ("NEWEST_SNAPSHOT", Fixed(25), ""),
    ("SNAPSHOT_STARTED_AT", Fixed(15), "1"),
    ("NEWEST_FULL_SNAPSHOT", Fixed(30), ""),
    ("SNAPSHOT_BY_ID", Fixed(25), "1"),
    ("SNAPSHOTS_SINCE", Fixed(45), "0"),
    ("OLDEST_RETAINED", Fixed(30), ""),
    ("VIOLATION_FLOW", Fixed(150), "0 - -"),
    ("FIXED_DAYS", Fixed(30), "0"),
    ("RULES", Fixed(35), ""),
    ("TAG_COUNT", Fixed(15), "2 1"),
    ("SPEND_BY_DAY", Fixed(60), ""),
    ("POLICY_BODY", Fixed(15), "digest"),
    ("SCOPES", Fixed(30), "2"),
    ("COMPLETE_SCOPES", Fixed(20), "2"),
    ("CELLS", Fixed(30), "2"),
    ("RULE_COUNTS", Fixed(135), "2 -"),
    ("FINDING_SET_COUNTS", Each(26), "2"),
    ("FINDINGS_SAME_RANK", Fixed(1805), "2 - - - 1 MIDDLE 3 51"),
    ("FINDINGS_LOWER_RANKS", Fixed(1685), "2 - - - 1001 MIDDLE 3 51"),
    ("MISSING_TAGS_SAME_RANK", Fixed(1900), "2 - - - 1 MIDDLE - 51"),
    ("MISSING_TAGS_LOWER_RANKS", Fixed(1900), "2 - - - 65537 MIDDLE - 51"),
    ("CURRENT_WITH_FINDINGS", Each(10), ""),
    ("CURRENT_MISSING_TAGS", Each(16), ""),
    ("SUPERSEDED_SINCE", Each(60), "1"),
    ("SUPERSEDED_STATE", Fixed(25), "2 1 KEY"),
    ("MISSING_TAGS_AS_OF", Each(40), "2"),
    ("RESOURCES_AS_OF_BY_KEY", Fixed(90), "2 KEY"),
    ("RESOURCE_BY_KEY", Fixed(30), "KEY"),
    ("COSTS_BY_VERDICT", Fixed(30), ""),
    ("COUNT_TAG_VALUES", Fixed(120), ""),
    ("EVALUATED_WITH_TAGS", Each(16), "1 0 MIDDLE 0"),
    ("EVALUATED_FOR_INSIGHTS", Each(16), "1"),
    ("STATES_ENDED_BETWEEN", Each(1), "1 2 0 9223372036854775807"),
    ("STATES_BEGUN_BETWEEN", Each(8), "1 2 0 9223372036854775807"),
    ("ARRIVED_OR_SUPERSEDED_BETWEEN", Each(6), "1 2 0 9223372036854775807"),
    ("CURRENT_STATE_WITH_COST", Fixed(30), "KEY"),
    ("COUNT_CHANGES_UP_TO", Each(1), "1 2 100000"),
    ("COUNT_PRUNED_BETWEEN", Fixed(25), "1 2"),
    ("VERDICTS_CHANGED_SINCE", Each(5), "1"),
    ("SNAPSHOT_BEFORE", Fixed(25), "1"),
    ("VIOLATIONS_OPEN_AS_OF", Fixed(40), "KEY 2"),
    ("ALL_TAGS", Fixed(60), ""),
    ("ALL_TAG_SETS", Fixed(35), ""),
    ("ALL_TAG_KEYS", Fixed(60), ""),
    ("ALL_FOR_SIMULATION", Each(40), "1 0 MIDDLE 0 1 1"),
    ("EVALUATED_FOR_REMEDIATION", Each(35), "1 0 MIDDLE 0"),
    ("FEATURE_COUNTS_MODEL", Fixed(20), ""),
    ("FEATURE_COUNTS", Fixed(15), "5"),
    ("FEATURE_COUNTS_VALUE", Fixed(15), "1"),
    ("FEATURE_COUNTS_VALUE_ID", Fixed(15), "Sales"),
    ("RELATIONSHIPS_OF", Fixed(15), "KEY"),
];

fn parse_parameters(ledger: &TestLedger, parameters: &str) -> Vec<Value> {
    let value = |word: &str| match word {
        "-" => Value::Null,
        "KEY" => Value::Integer(ledger.number("SELECT min(key) FROM current")),
        "MIDDLE" => Value::Integer(i64::MAX / 2),
        "blob" => Value::Blob(vec![1]),
        number if number.parse::<i64>().is_ok() => Value::Integer(number.parse().unwrap()),
        text => Value::Text(text.to_owned()),
    };
    parameters.split_whitespace().map(value).collect()
}

/// The steps of a statement, on a connection that may write. The changes are discarded.
fn count_steps(ledger: &TestLedger, text: &str, parameters: &str) -> i32 {
    let connection = ledger.sql();
    connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").unwrap();
    let mut statement = connection.prepare(text).unwrap();
    let mut rows = statement.query(params_from_iter(parse_parameters(ledger, parameters))).unwrap();
    while rows.next().unwrap().is_some() {}
    drop(rows);
    statement.get_status(StatementStatus::VmStep)
}

/// Every statement has a budget of SQLite virtual machine steps, fixed or for each resource, and stays within it for
/// ledgers of 1,000 and 8,000 resources. No statement is without a budget.
#[test]
fn statements_stay_within_step_budgets() {
    let budgeted: Vec<&str> = BUDGETS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(budgeted, all_statements().map(|(name, _)| name).collect::<Vec<_>>());
    let (small, large) = (estate(1_000), estate(8_000));
    for ((name, budget, parameters), (_, text)) in BUDGETS.iter().zip(all_statements()) {
        let max = match budget {
            Fixed(steps) => [*steps; 2],
            Each(steps) => [1_000 * steps + 200, 8_000 * steps + 200],
            Uncounted => continue,
        };
        let costs = [&small, &large].map(|ledger| count_steps(ledger, text, parameters));
        assert!(costs.iter().zip(max).all(|(cost, max)| *cost <= max), "{name}: {costs:?} steps, {max:?} allowed");
    }
}
