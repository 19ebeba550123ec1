//! Stored insights of snapshots, compared with a computation from the resources.

use tagledger_model::epoch_day;
use tagledger_policy::Policy;

use crate::{
    maintenance::retention::RetentionPolicy,
    query::{change_causes, history, remediation, tag_groups},
    read::{filter::Filter, session::LedgerReader},
    tests::{
        COMPLIANT, INVALID_VALUE, POLICY, TestLedger, UNTAGGED, complete, instance, instances, maintenance::faults,
        resource_costs, resource_pages,
    },
    write::writer::LedgerWriter,
};

/// The answers about a snapshot that insights are for.
fn answers(reader: &LedgerReader, id: i64) -> String {
    let read = reader.read(|view| {
        let snapshot = view.snapshot(id)?.unwrap();
        let recommendations = tag_groups::find_recommendations(view, &snapshot)?;
        let causes = history::find_snapshot_before(view, snapshot.started_at)?
            .map(|before| change_causes::explain(view, &before, &snapshot))
            .transpose()?;
        let backlog = remediation::find_backlog(view, &snapshot, &Filter::default(), 3)?;
        let keys: Vec<Vec<i64>> = backlog.keys().into_iter().map(<[i64]>::to_vec).collect();
        Ok(format!("{recommendations:?} {causes:?} {:?} {:?} {keys:?}", backlog.totals, backlog.tiers))
    });
    read.unwrap()
}

fn snapshots_with_insights(ledger: &TestLedger) -> String {
    let text = "SELECT coalesce(group_concat(snapshot_id, ' ' ORDER BY snapshot_id), '') FROM told";
    ledger.sql().query_row(text, [], |row| row.get(0)).unwrap()
}

/// Writes a snapshot; the policy changes with the sixth one.
fn add(ledger: &mut TestLedger, snapshot: usize) {
    if snapshot == 5 {
        ledger.policy = Policy::parse(&POLICY.replace("production", "live")).unwrap();
    }
    resource_pages::record_varied(ledger, snapshot);
}

fn changing_ledger(snapshot_count: usize) -> TestLedger {
    let mut test_ledger = TestLedger::new();
    (0..snapshot_count).for_each(|snapshot| add(&mut test_ledger, snapshot));
    test_ledger
}

/// After each new snapshot, every snapshot of a ledger with materialized insights gives the same answers as in a ledger
/// without them, also through a reader that has been open throughout and across a policy change.
#[test]
fn insights_equal_a_computation_from_facts() {
    let (mut stored, mut computed) = (TestLedger::new(), TestLedger::new());
    let open_reader = stored.reader();
    for recorded in 0..8 {
        add(&mut stored, recorded);
        add(&mut computed, recorded);
        stored.materialize_insights();
        for id in 1..=stored.snapshots {
            let facts = answers(&computed.reader(), id);
            assert_eq!(answers(&stored.reader(), id), facts, "snapshot {id} of {recorded}");
            // The same from a reader that cached it while it was the newest.
            assert_eq!(answers(&open_reader, id), facts, "snapshot {id} of {recorded}");
        }
    }
    assert_eq!(snapshots_with_insights(&stored), "1 2 3 4 5 6 7 8");
    assert_eq!(snapshots_with_insights(&computed), "");
    assert!(answers(&stored.reader(), 6).contains("Policy"), "{}", answers(&stored.reader(), 6));
    assert_eq!(faults(&stored), Vec::<String>::new());
}

/// The first materialization of insights covers the newest snapshot only. The next one covers every snapshot added
/// since, and a repeated run adds nothing.
#[test]
fn materialization_covers_snapshots_added_since_last_run() {
    let mut ledger = changing_ledger(2);
    ledger.materialize_insights();
    assert_eq!(snapshots_with_insights(&ledger), "2", "the first run covers the newest snapshot only");
    for snapshot in 2..5 {
        resource_pages::record_varied(&mut ledger, snapshot);
    }
    ledger.materialize_insights();
    ledger.materialize_insights();
    assert_eq!(snapshots_with_insights(&ledger), "2 3 4 5");
    assert_eq!(faults(&ledger), Vec::<String>::new());
}

/// Insights store the causes of change against the previous snapshot only. The causes against any other snapshot are
/// computed from the facts.
#[test]
fn causes_of_nonadjacent_snapshots_come_from_facts() {
    let (ledger, computed) = (changing_ledger(6), changing_ledger(6));
    ledger.materialize_insights();
    let causes = |ledger: &TestLedger, earlier, later| {
        let read = ledger.reader().read(|view| {
            let [earlier, later] = [earlier, later].map(|id| view.snapshot(id).map(Option::unwrap));
            change_causes::explain(view, &earlier?, &later?)
        });
        read.unwrap()
    };
    assert_ne!(causes(&ledger, 5, 6), causes(&ledger, 2, 6));
    assert_eq!(causes(&ledger, 2, 6), causes(&computed, 2, 6));
}

/// The keys of the backlog of snapshot 1, of which at least `wanted` are requested.
fn keys(ledger: &TestLedger, wanted: usize) -> Vec<i64> {
    let read = ledger.reader().read(|view| {
        let backlog = remediation::find_backlog(view, &view.snapshot(1)?.unwrap(), &Filter::default(), wanted)?;
        Ok(backlog.keys().concat())
    });
    read.unwrap()
}

/// Insights store the keys of the first 100 resources of the remediation backlog and the size of every tier. A request
/// for more keys is answered from the facts.
#[test]
fn backlog_keys_beyond_first_hundred_come_from_facts() {
    let mut ledger = TestLedger::new();
    // Nine of nineteen have two errors and come after those with one.
    let tags = |n: usize| if n % 19 < 9 { UNTAGGED } else { INVALID_VALUE };
    let estate = || complete((0..190).map(|n| instance(&n.to_string(), tags(n))).collect());
    ledger.record_snapshot(&[(instances(), estate())]);
    ledger.materialize_insights();
    ledger.record_snapshot(&[(instances(), complete(vec![instance("0", COMPLIANT)]))]);
    let facts = keys(&ledger, 101);
    assert_eq!(facts.len(), 190, "the insights have 100 keys");
    assert_eq!(keys(&ledger, 100), facts[..100]);
    let steps = r#""steps":[{"changes":1,"resources":100},{"changes":2,"resources":90}]"#;
    assert!(
        ledger.sql().query_row("SELECT body FROM told", [], |row| row.get::<_, String>(0)).unwrap().contains(steps)
    );
}

/// A past snapshot is answered from its stored insights, and from the facts when these cannot be decoded. Verification
/// does not recompute insights that another program version wrote; it reports only the checksum mismatch.
#[test]
fn past_snapshot_falls_back_to_facts_on_unreadable_insights() {
    let mut ledger = changing_ledger(3);
    ledger.materialize_insights();
    resource_pages::record_varied(&mut ledger, 3);
    let facts = answers(&changing_ledger(3).reader(), 3);
    let answers_after = |change: &str| {
        assert_eq!(ledger.sql().execute(change, []).unwrap(), 1, "{change}");
        answers(&ledger.reader(), 3)
    };
    let altered = "UPDATE told SET body = replace(replace(replace(body, '\"changes\":1', '\"changes\":71'),
        '\"groups\":', '\"groups\":72'), '{\"resources\":', '{\"resources\":73')";
    let answer = answers_after(altered);
    assert!(
        ["changes: 71", "groups: 72", "CauseContribution { resources: 73"].iter().all(|part| answer.contains(part)),
        "{answer}"
    );
    assert_eq!(answers_after("UPDATE told SET body = 'nonsense'"), facts);
    assert_eq!(answers_after("UPDATE told SET body = '{\"program\": \"of old\"}'"), facts);
    // Insights of another program are not recomputed. Only the checksum reveals the change.
    let found = faults(&ledger);
    assert!(found.len() == 1 && found[0].contains("checksum"), "{found:?}");
}

/// As soon as a snapshot is no longer the newest, its insights contain no costs. This holds for a reader that cached
/// the costs, for stored insights and for a computation from the facts.
#[test]
fn past_snapshot_has_no_costs() {
    let mut ledger = TestLedger::new();
    let estate = || complete((0..4).map(|n| resource_costs::machine(&n.to_string(), UNTAGGED, 1)).collect());
    ledger.record_with(&[(instances(), estate())], |snapshot| snapshot.record_bill(&resource_costs::costly()));
    ledger.materialize_insights();
    let warm_reader = ledger.reader();
    warm_reader.read(|view| remediation::preload(view, &view.newest()?.unwrap())).unwrap();
    let newest = answers(&warm_reader, 1);
    assert!(newest.contains("with_cost: 4") && !newest.contains("cost: None"), "{newest}");
    ledger.record_snapshot(&[(instances(), estate())]);
    let then = answers(&warm_reader, 1);
    assert_eq!(then, answers(&ledger.reader(), 1));
    // The same without stored insights.
    ledger.sql().execute("DELETE FROM told", []).unwrap();
    assert_eq!((answers(&warm_reader, 1), answers(&ledger.reader(), 1)), (then.clone(), then.clone()));
    assert!(then.contains("with_cost: 0") && then.contains("cost: None"), "{then}");
}

/// Pruning deletes the insights of each pruned snapshot and keeps one record for each retained snapshot. Retained
/// snapshots whose previous snapshot is also retained give the same answers as before.
#[test]
fn pruning_removes_insights_of_pruned_snapshots_only() {
    let mut ledger = TestLedger::new();
    for recorded in 0..40 {
        resource_pages::record_varied(&mut ledger, recorded);
        ledger.materialize_insights();
    }
    let newest = ledger.reader().newest().unwrap().unwrap();
    let before: Vec<String> = (1..=40).map(|id| answers(&ledger.reader(), id)).collect();
    let retention: RetentionPolicy = "10d".parse().unwrap();
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    let pruned = writer.prune(&retention, epoch_day::day_of(newest.started_at)).unwrap();
    drop(writer);
    assert!(pruned.snapshots > 0);
    let stored = ledger.number("SELECT count(*) FROM snapshot WHERE retained");
    assert_eq!(snapshots_with_insights(&ledger).split(' ').count(), usize::try_from(stored).unwrap());
    assert_eq!(faults(&ledger), Vec::<String>::new());
    // The previous snapshots of these are retained as well.
    for id in 35..=40 {
        assert_eq!(answers(&ledger.reader(), id), before[usize::try_from(id).unwrap() - 1], "snapshot {id}");
    }
}

/// Verification reports a snapshot whose stored insights were changed, made unreadable or replaced by those of another
/// snapshot.
#[test]
fn verify_detects_altered_insights() {
    let changes = [
        "UPDATE told SET body = replace(body, '\"groups\":', '\"groups\":1') WHERE snapshot_id = 2",
        "UPDATE told SET body = 'nonsense' WHERE snapshot_id = 2",
        "UPDATE told SET body = (SELECT body FROM told WHERE snapshot_id = 1) WHERE snapshot_id = 2",
    ];
    for change in changes {
        let mut ledger = TestLedger::new();
        for recorded in 0..2 {
            resource_pages::record_varied(&mut ledger, recorded);
            ledger.materialize_insights();
        }
        assert_eq!(faults(&ledger), Vec::<String>::new());
        assert_eq!(ledger.sql().execute(change, []).unwrap(), 1, "{change}");
        let found = faults(&ledger);
        assert!(found.iter().any(|fault| fault.contains("snapshot 2: its insights")), "{change}: {found:?}");
    }
}
