//! What questions cost SQLite in steps of its virtual machine: exact on every machine, however busy.

use rusqlite::{StatementStatus, ToSql, types::Null};

use super::*;
use crate::store::{open::open_read_only, sql};

/// A night of so many instances, of which three in four have findings, and then one in which one in fifty changed.
fn estate(resources: usize) -> Book {
    let mut book = Book::new();
    let all = |changed: bool| -> Vec<Resource> {
        let tags = |n: usize| [SHORT, BARE, OWNERLESS, GOOD][(n + usize::from(changed && n.is_multiple_of(50))) % 4];
        (0..resources).map(|n| instance(&format!("{n:x}"), tags(n))).collect()
    };
    book.night(&[(instances(), whole(all(false)))]);
    book.night(&[(instances(), whole(all(true)))]);
    book
}

/// Steps of one statement, with how many rows it gave.
fn steps(book: &Book, text: &str, parameters: &[&dyn ToSql]) -> (i32, usize) {
    let connection = open_read_only(&book.path()).unwrap();
    let mut statement = connection.prepare(text).unwrap();
    let mut rows = statement.query(parameters).unwrap();
    let mut given = 0;
    while rows.next().unwrap().is_some() {
        given += 1;
    }
    drop(rows);
    (statement.get_status(StatementStatus::VmStep), given)
}

#[test]
fn a_page_of_the_newest_night_costs_the_same_wherever_it_begins_and_however_large_the_ledger_is() {
    let (small, large) = (estate(1_000), estate(8_000));
    let middle = i64::MAX / 2;
    for (name, text) in [("worst, same rank", sql::WORST_SAME), ("lacking, same rank", sql::LACKING_SAME)] {
        let narrow: &dyn ToSql = if text == sql::WORST_SAME { &3 } else { &Null };
        for rank in [1, 2, 1001] {
            let asked = |book: &Book, key: i64| steps(book, text, &[&2, &Null, &Null, &Null, &rank, &key, narrow, &51]);
            let (cost, rows) = asked(&large, middle);
            assert!(cost < 60 * 51 + 200, "{name}, rank {rank}: {cost} steps for {rows} rows");
            let (elsewhere, _) = asked(&large, i64::MAX);
            let (of_few, _) = asked(&small, i64::MAX);
            assert!((cost - elsewhere).abs() < 400, "{name}, rank {rank}: {cost} and {elsewhere} steps");
            assert!((of_few - elsewhere).abs() < 400, "{name}, rank {rank}: {of_few} and {elsewhere} steps");
        }
    }
    let (cost, rows) = steps(&large, sql::WORST_BELOW, &[&2, &Null, &Null, &Null, &i64::MAX, &0, &3, &51]);
    assert!(rows == 51 && cost < 60 * 51 + 200, "{cost} steps for {rows} rows");
}

#[test]
fn what_one_row_and_one_night_cost_stays_within_its_budget() {
    let book = estate(8_000);
    let key: i64 = book.number("SELECT min(key) FROM current");
    for (name, text, parameters, most) in [
        ("newest snapshot", sql::NEWEST_SNAPSHOT, &[] as &[&dyn ToSql], 40),
        ("a snapshot", sql::SNAPSHOT_BY_ID, &[&1], 40),
        ("scopes of a night", sql::SCOPES, &[&2], 40),
        ("cells of a night", sql::CELLS, &[&2], 40),
        ("rules of a night", sql::RULE_COUNTS, &[&2, &Null], 160),
        ("a resource", sql::RESOURCE_BY_KEY, &[&key], 40),
        ("violations of a resource", sql::VIOLATIONS_OF, &[&key, &2], 100),
        ("a tag", sql::TAG_BY_ID, &[&1], 20),
        ("tags of a set", sql::TAGS_OF_SET, &[&1], 20),
        ("a rule", sql::RULE_BY_ID, &[&1], 20),
        ("open violations", sql::OPEN_VIOLATIONS, &[&key], 60),
        ("a version", sql::CURRENT_OF, &[&key], 40),
    ] {
        let (cost, _) = steps(&book, text, parameters);
        assert!(cost <= most, "{name}: {cost} steps, {most} allowed");
    }
}
