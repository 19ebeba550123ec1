//! What differs between two nights, however it is read.

use std::sync::Arc;

use super::*;

/// Nights of 40 instances: each night some are tagged otherwise or named otherwise, some are gone and some new.
fn restless(nights: usize) -> Book {
    let mut book = Book::new();
    for night in 0..nights {
        let tags = |n: usize| [GOOD, SHORT, BARE, OWNERLESS][(n * 7 + (night + n) / 5) % 4];
        let found = (0..40).filter(|n| (n + night / 3) % 6 != 0).map(|n| {
            let name = format!("host-{n}-{}", (night + n) / 7);
            let unnamed = tags(n).iter().copied().filter(|(key, _)| *key != "Name");
            let tags: Vec<(&str, &str)> = unnamed.chain([("Name", name.as_str())]).collect();
            let usage = Some(Usage { driver: format!("m{}.large", n % 3), quantity: u32::from((n + night) % 4 > 0) });
            Resource { usage, ..instance(&format!("{:x}", n + night / 10), &tags) }
        });
        let found = whole(found.collect());
        book.night(&[(instances(), found)]);
    }
    book
}

/// All that differs between two nights.
type Told = Vec<(Changed, Vec<TagChange>)>;

fn between(view: &View<'_>, earlier: i64, later: i64) -> Result<Told, StoreError> {
    let [earlier, later] = [earlier, later].map(|id| view.snapshot(id).unwrap().unwrap());
    let found = view.differences(&earlier, &later)?;
    let told = found.changed.iter().enumerate().map(|(place, one)| {
        let mut tags: Vec<TagChange> = found.retagged.changes_of(place).cloned().collect();
        tags.sort();
        (one.clone(), tags)
    });
    Ok(told.collect())
}

/// From the tags of each resource in each night, one by one.
fn by_hand(view: &View<'_>, told: &Told) -> Vec<Vec<TagChange>> {
    let of = |(one, _): &(Changed, Vec<TagChange>)| {
        let (Some(before), Some(after)) = (&one.before, &one.after) else { return Vec::new() };
        let [before, after] = [before, after].map(|side| view.tags_in(side).unwrap());
        let keys: std::collections::BTreeSet<&str> = before.iter().chain(after.iter()).map(|(key, _)| key).collect();
        let value = |tags: &TagSet, key: &str| tags.get(key).map(Arc::from);
        let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
        changed
            .map(|key| TagChange { key: key.into(), before: value(&before, key), after: value(&after, key) })
            .collect()
    };
    told.iter().map(of).collect()
}

#[test]
fn what_differs_is_the_same_whatever_was_read_ahead() {
    let book = restless(14);
    let [cold, warm] = [book.reader(), book.reader()];
    warm.read(|view| view.warm(&view.newest()?.unwrap())).unwrap();
    let (mut changes, mut names) = (0, 0);
    for later in 2..=14 {
        for earlier in 1..later {
            let told = cold.read(|view| between(view, earlier, later)).unwrap();
            assert_eq!(warm.read(|view| between(view, earlier, later)).unwrap(), told, "{earlier} to {later}");
            let counted = cold.read(|view| Ok(by_hand(view, &told))).unwrap();
            assert_eq!(told.iter().map(|(_, tags)| tags.clone()).collect::<Vec<_>>(), counted, "{earlier} to {later}");
            assert!(told.is_sorted_by_key(|(one, _)| one.key));
            changes += told.iter().map(|(_, tags)| tags.len()).sum::<usize>();
            names += told.iter().flat_map(|(_, tags)| tags).filter(|change| &*change.key == "Name").count();
        }
    }
    assert!(changes > 1_000 && names > 200, "{changes} changes, {names} of names");
}

#[test]
fn nights_that_are_thinned_out_amid_a_question_change_neither_half_of_its_answer() {
    let book = restless(30);
    let reader = book.reader();
    let before = reader.read(|view| between(view, 10, 12)).unwrap();
    assert!(before.len() > 10);
    let amid = reader
        .read(|view| {
            // This one sees nothing of what comes now; in what comes, neither night is kept.
            assert_eq!(view.newest()?.unwrap().id, 30);
            let mut writer = Writer::open(&book.path())?;
            writer.thin(&"3d".parse().unwrap(), jiff::civil::date(2026, 1, 31))?;
            between(view, 10, 12)
        })
        .unwrap();
    assert_eq!(amid, before);
    assert!(!reader.read(|view| Ok(view.snapshot(10)?.is_some() || view.snapshot(12)?.is_some())).unwrap());
}
