//! Tests of the audit log.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::{AuditEntry, AuditError, AuditLog, AuditQuery, read_audit};

fn call(second: i64, caller: &str, tool: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp::from_second(1_790_000_000 + second).unwrap(),
        caller: caller.to_owned(),
        tool: tool.to_owned(),
        arguments: "00ff".to_owned(),
        outcome: "ok".to_owned(),
        rows: 10,
        bytes: 4_000,
        micros: 350,
        aws_lookups: 2,
        trace_id: "0af7".to_owned(),
    }
}

fn read(path: &Path, query: &AuditQuery) -> Vec<AuditEntry> {
    let mut found = Vec::new();
    read_audit(path, query, |entry| found.push(entry)).unwrap();
    found
}

/// Entries appended in separate sessions are read back in order and can be filtered by caller, tool and start time;
/// a limit selects the newest. Pruning deletes every entry before the given time and returns how many it deleted.
#[test]
fn appended_entries_can_be_filtered_and_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.sqlite");
    let calls = [call(1, "ada", "plan_fixes"), call(2, "bob", "plan_fixes"), call(3, "ada", "simulate_policy")];
    let mut log = AuditLog::open(&path).unwrap();
    log.append(&calls[..2]).unwrap();
    drop(log);
    let mut log = AuditLog::open(&path).unwrap();
    log.append(&calls[2..]).unwrap();
    assert_eq!(read(&path, &AuditQuery::default()), calls);
    let ada = AuditQuery { caller: Some("ada".to_owned()), ..AuditQuery::default() };
    assert_eq!(read(&path, &ada), [calls[0].clone(), calls[2].clone()]);
    let plans = AuditQuery { tool: Some("plan_fixes".to_owned()), limit: Some(1), ..AuditQuery::default() };
    assert_eq!(read(&path, &plans), [calls[1].clone()], "the newest");
    let late = AuditQuery { since: Some(calls[1].at), ..AuditQuery::default() };
    assert_eq!(read(&path, &late), calls[1..]);
    assert_eq!(log.prune_before(calls[2].at).unwrap(), 2);
    assert_eq!(read(&path, &AuditQuery::default()), calls[2..]);
}

/// `AuditLog::open` rejects a text file and a database with foreign tables with `AuditError::Foreign`. Neither
/// opening nor reading changes a byte of the file.
#[test]
fn open_foreign_file_fails_and_leaves_it_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("text", &b"not a database, but a text that is long enough to be one"[..]), ("other", b"")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        if name == "other" {
            Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        }
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(AuditLog::open(&path), Err(AuditError::Foreign { .. })), "{name}");
        assert!(read_audit(&path, &AuditQuery::default(), |_| {}).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
