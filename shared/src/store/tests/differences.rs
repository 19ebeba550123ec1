//! What differs between two nights, however it is read.

use super::{
    single::{harvest, pool, shared},
    *,
};

/// Nights of 40 instances: each night some are tagged otherwise or named otherwise, some are gone and some new. The first bill names
/// nobody, and says what machines of two sizes cost.
fn restless(nights: usize) -> Book {
    let mut book = Book::new();
    let pools = vec![pool("ec2:instance", "m0.large", "900", 9_000), pool("ec2:instance", "m1.large", "500", 7_200)];
    book.write(&estate(0), |night| night.bill(&harvest(shared(pools), &[("Compute", "1400")])));
    (1..nights).for_each(|night| drop(book.night(&estate(night))));
    book
}

fn estate(night: usize) -> [(Scope, Listing); 1] {
    let tags = |n: usize| [GOOD, SHORT, BARE, OWNERLESS][(n * 7 + (night + n) / 5) % 4];
    let found = (0..40).filter(|n| !(n + night / 3).is_multiple_of(6)).map(|n| {
        let name = format!("host-{n}-{}", (night + n) / 7);
        let unnamed = tags(n).iter().copied().filter(|(key, _)| *key != "Name");
        let tags: Vec<(&str, &str)> = unnamed.chain([("Name", name.as_str())]).collect();
        let usage =
            Some(Usage { driver: format!("m{}.large", n % 3), quantity: u32::from(!(n + night).is_multiple_of(4)) });
        Resource { usage, ..instance(&format!("{:x}", n + night / 10), &tags) }
    });
    [(instances(), whole(found.collect()))]
}

/// A key with its values, as text.
type Tags = (String, Option<String>, Option<String>);

/// All that differs between two nights.
type Told = Vec<(Changed, Vec<Tags>)>;

/// With what was not in both nights, and with the costs of what was.
fn between(view: &View<'_>, earlier: i64, later: i64) -> Result<Told, StoreError> {
    let [earlier, later] = [earlier, later].map(|id| view.snapshot(id).unwrap().unwrap());
    let (all, both) = (told(view, &view.all_differences(&earlier, &later)?)?, view.differences(&earlier, &later)?);
    let mut both = told(view, &both)?.into_iter().peekable();
    let told = all.into_iter().map(|one| match both.next_if(|(of, _)| of.key == one.0.key) {
        Some(with_costs) => {
            assert_eq!((Changed { cost: None, ..with_costs.0.clone() }, &with_costs.1), (one.0.clone(), &one.1));
            with_costs
        }
        None => {
            assert!(one.0.before.is_none() || one.0.after.is_none(), "{one:?}");
            one
        }
    });
    let told = told.collect();
    assert!(both.next().is_none());
    Ok(told)
}

fn told(view: &View<'_>, found: &Differences) -> Result<Told, StoreError> {
    let text = |of: &Option<TagValue>| of.as_ref().map(|value| Ok(view.value(value)?.to_string())).transpose();
    let told = found.changed.iter().enumerate().map(|(place, one)| {
        let tags = found.retagged.changes_of(place);
        let tags = tags.map(|change| Ok((change.key.to_string(), text(&change.before)?, text(&change.after)?)));
        let mut tags = tags.collect::<Result<Vec<Tags>, StoreError>>()?;
        tags.sort();
        Ok((one.clone(), tags))
    });
    told.collect()
}

/// From the tags of each resource in each night, one by one.
fn by_hand(view: &View<'_>, told: &Told) -> Vec<Vec<Tags>> {
    let of = |(one, _): &(Changed, Vec<Tags>)| {
        let (Some(before), Some(after)) = (&one.before, &one.after) else { return Vec::new() };
        let [before, after] = [before, after].map(|side| view.tags_in(side).unwrap());
        let keys: std::collections::BTreeSet<&str> = before.iter().chain(after.iter()).map(|(key, _)| key).collect();
        let value = |tags: &TagSet, key: &str| tags.get(key).map(str::to_owned);
        let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
        changed.map(|key| (key.to_owned(), value(&before, key), value(&after, key))).collect()
    };
    told.iter().map(of).collect()
}

fn warm(reader: &Reader) {
    reader
        .read(|view| {
            let newest = view.newest()?.unwrap();
            view.warm(&newest)?;
            view.warm_living(&newest)?;
            view.warm_lookups(&newest)?;
            view.warm_nights()
        })
        .unwrap();
}

/// What a reader that has read ahead says of each two nights must be what one says that looks up all of it; told are changes of
/// tags, of names, and resources with costs.
fn compared(book: &Book, warm: &Reader, nights: &[i64]) -> [usize; 3] {
    let cold = book.reader();
    let mut counts = [0; 3];
    for (place, later) in nights.iter().enumerate() {
        for earlier in nights.iter().take(place) {
            let told = cold.read(|view| between(view, *earlier, *later)).unwrap();
            assert_eq!(warm.read(|view| between(view, *earlier, *later)).unwrap(), told, "{earlier} to {later}");
            let counted = cold.read(|view| Ok(by_hand(view, &told))).unwrap();
            assert_eq!(told.iter().map(|(_, tags)| tags.clone()).collect::<Vec<_>>(), counted, "{earlier} to {later}");
            assert!(told.is_sorted_by_key(|(one, _)| one.key));
            let changes = told.iter().flat_map(|(_, tags)| tags);
            counts[0] += changes.clone().count();
            counts[1] += changes.filter(|(key, ..)| key == "Name").count();
            counts[2] += told.iter().filter(|(one, _)| one.cost.is_some()).count();
        }
    }
    counts
}

#[test]
fn what_differs_is_the_same_whatever_was_read_ahead() {
    let mut book = restless(14);
    let reader = book.reader();
    warm(&reader);
    let [changes, names, with_costs] = compared(&book, &reader, &(1..=14).collect::<Vec<_>>());
    assert!(
        changes > 1_000 && names > 200 && with_costs > 500,
        "{changes} changes, {names} of names, {with_costs} costs"
    );

    // Another night, by whose bill the same machines cost half: what was read ahead is of a night that is no longer the newest.
    let pools = vec![pool("ec2:instance", "m0.large", "450", 9_000)];
    book.write(&estate(14), |night| night.bill(&harvest(shared(pools), &[("Compute", "450")])));
    let all: Vec<i64> = (1..=15).collect();
    let [.., with_fewer] = compared(&book, &reader, &all);
    assert!(with_fewer < with_costs && with_fewer > 200, "{with_fewer} costs");
    warm(&reader);
    compared(&book, &reader, &all);

    let mut writer = Writer::open(&book.path()).unwrap();
    writer.thin(&"3d,3w".parse().unwrap(), jiff::civil::date(2026, 1, 16)).unwrap();
    let kept: Vec<i64> =
        all.into_iter().filter(|id| reader.read(|view| view.snapshot(*id)).unwrap().is_some()).collect();
    assert!((4..=8).contains(&kept.len()), "{kept:?}");
    compared(&book, &reader, &kept);
}

#[test]
fn what_came_counts_as_a_change_as_what_ended_does() {
    let mut book = Book::new();
    let night = |book: &mut Book, found: &[(&str, &[(&str, &str)])]| {
        let found = found.iter().map(|(id, tags)| instance(id, tags)).collect();
        book.night(&[(instances(), whole(found))])
    };
    night(&mut book, &[("1", GOOD), ("2", GOOD), ("3", GOOD)]);
    // One is tagged otherwise, one is gone, and two are new.
    night(&mut book, &[("1", GOOD), ("2", BARE), ("4", GOOD), ("5", GOOD)]);
    let counted = |most| {
        let of = |view: &View<'_>| view.changes_up_to(&view.snapshot(1)?.unwrap(), &view.snapshot(2)?.unwrap(), most);
        book.reader().read(of).unwrap()
    };
    assert_eq!([counted(100), counted(3)], [4, 3]);
}

#[test]
fn what_a_night_saw_is_the_same_whatever_was_read_ahead() {
    let mut book = Book::new();
    let [here, there] = ["eu-west-1", "eu-north-1"].map(|region| scope(region, "s3:bucket"));
    let bucket = |name: &str| bucket(name, tagged(GOOD));
    let all = [
        (instances(), whole(vec![instance("1", GOOD)])),
        (here.clone(), whole(vec![bucket("a")])),
        (there.clone(), broken(vec![bucket("b")])),
    ];
    book.night(&all);
    // Only buckets here are looked at again: all else stands as the night before read it.
    book.narrowed(&[(here, broken(vec![]))]);
    book.night(&all);
    let regions = |region: &str| Filter { regions: vec![region.parse().unwrap()], ..Filter::default() };
    let types = |kind: &str| Filter { types: vec![kind.parse().unwrap()], ..Filter::default() };
    let filters =
        [Filter::default(), regions("eu-west-1"), regions("eu-north-1"), regions("us-east-1"), types("s3:bucket")];
    let mut amiss = Vec::new();
    for id in 1..=3 {
        for filter in &filters {
            let [cold, warm] = [false, true].map(|ahead| {
                let asked = |view: &View<'_>| {
                    let snapshot = view.snapshot(id)?.unwrap();
                    if ahead {
                        view.warm(&snapshot)?;
                    }
                    view.coverage(&snapshot, filter)
                };
                book.reader().read(asked).unwrap()
            });
            assert_eq!(cold, warm, "snapshot {id}, {filter:?}");
            amiss.push((warm.scopes, warm.amiss.len()));
        }
    }
    let first = [(3, 1), (2, 0), (1, 1), (0, 0), (2, 1)];
    let narrowed = [(3, 3), (2, 2), (1, 1), (0, 0), (2, 2)];
    assert_eq!(amiss, [first, narrowed, first].concat());
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
