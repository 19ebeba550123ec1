use super::*;

const ALL: Worst = Worst { errors: true, warnings: true };

fn ids(page: &Page) -> Vec<&str> {
    page.rows.iter().map(|row| row.arn.resource_id()).collect()
}

fn estate() -> Vec<(Scope, Listing)> {
    let resources = (0..25).map(|n| instance(&n.to_string(), [BARE, SHORT, GOOD, OWNERLESS, BARE][n % 5])).collect();
    vec![(instances(), whole(resources))]
}

/// Reads all pages of a snapshot, newest when none is named.
fn all_pages(
    book: &Book,
    id: Option<i64>,
    limit: usize,
    ask: impl Fn(&View<'_>, &Snapshot, PageStart, usize) -> Page,
) -> Vec<Row> {
    let (mut rows, mut start) = (Vec::new(), Some(PageStart::FIRST));
    while let Some(at) = start {
        let page = book
            .reader()
            .read(|view| {
                let snapshot = if let Some(id) = id { view.snapshot(id)? } else { view.newest()? };
                Ok(ask(view, &snapshot.unwrap(), at, limit))
            })
            .unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        start = page.next;
    }
    rows
}

fn worst(view: &View<'_>, snapshot: &Snapshot, at: PageStart, limit: usize) -> Page {
    view.worst(snapshot, &Filter::default(), ALL, at, limit).unwrap()
}

#[test]
fn pages_of_any_size_give_every_resource_with_findings_once_the_worst_first() {
    let mut book = Book::new();
    book.night(&estate());
    let by_hundred = all_pages(&book, None, 100, worst);
    assert_eq!(by_hundred.len(), 20, "25 resources, of which 5 are as they should be");
    assert_eq!(all_pages(&book, None, 3, worst), by_hundred);
    let errors: Vec<usize> = by_hundred.iter().map(errors).collect();
    assert!(errors.is_sorted_by(|a, b| a >= b), "{errors:?}");
    assert_eq!(errors.iter().sum::<usize>(), 5 * 2 + 5 + 5 + 5 * 2);
}

fn errors(row: &Row) -> usize {
    row.violations.iter().filter(|(rule, _)| rule.severity == Severity::Error).count()
}

#[test]
fn a_page_of_an_older_snapshot_is_as_it_was_then() {
    let mut book = Book::new();
    book.night(&estate());
    let then = all_pages(&book, None, 4, worst);
    let mut later = estate();
    later[0].1.resources.truncate(12);
    later[0].1.resources.push(instance("new", BARE));
    later[0].1.resources[0].tags = tagged(GOOD);
    book.night(&later);
    assert_eq!(all_pages(&book, Some(1), 4, worst), then);
    assert_ne!(all_pages(&book, None, 4, worst), then);
}

#[test]
fn a_row_has_the_tags_to_the_letter_and_the_day_each_violation_was_first_seen() {
    let mut book = Book::new();
    let odd = [("Owner", "tbd"), ("Environment", "production"), ("Name", "w 1"), ("k", ""), ("ключ", "значение")];
    book.night(&[(instances(), whole(vec![instance("1", &odd)]))]);
    let first_night = book.reader().read(|view| view.newest()).unwrap().unwrap().started_at;
    book.night(&[(instances(), whole(vec![instance("1", &odd)]))]);
    let rows = all_pages(&book, None, 10, worst);
    assert_eq!(rows[0].tags, odd.into_iter().collect::<TagSet>());
    let seen: Vec<_> =
        rows[0].violations.iter().map(|(rule, at)| (rule.code.as_str(), rule.tag.as_str(), *at)).collect();
    assert_eq!(seen, [("PLACEHOLDER", "Owner", first_night)]);
    assert_eq!(rows[0].created_at, Some(Timestamp::constant(1_700_000_000, 0)));
}

#[test]
fn untagged_resources_come_before_those_that_lack_a_tag() {
    let mut book = Book::new();
    book.night(&estate());
    let lacking = |view: &View<'_>, snapshot: &Snapshot, at, limit| {
        view.lacking(snapshot, &Filter::default(), Lacking::default(), at, limit).unwrap()
    };
    let rows = all_pages(&book, None, 4, lacking);
    let bare: Vec<bool> = rows.iter().map(|row| row.tags.iter().len() == 0).collect();
    assert_eq!(bare, [vec![true; 10], vec![false; 5]].concat());
    let sums = book
        .reader()
        .read(|view| view.lacking_sums(&view.newest()?.unwrap(), &Filter::default(), Narrowing::default()));
    let sums = sums.unwrap();
    assert_eq!((sums.untagged, sums.lacking, sums.with_cost), (10, 5, 0));
}

#[test]
fn resources_of_an_age_are_counted_as_their_pages_list_them() {
    let created = |n: i64| (n % 4 > 0).then(|| Timestamp::from_second(1_700_000_000 + 86_400 * (n % 7)).unwrap());
    let of_age = |n: i64| Resource {
        created_at: created(n),
        ..instance(&format!("{n:x}"), [BARE, OWNERLESS, GOOD][usize::try_from(n % 3).unwrap()])
    };
    let mut book = Book::new();
    book.night(&[(instances(), whole((0..90).map(of_age).collect()))]);
    book.night(&[(instances(), whole((5..95).map(of_age).collect()))]);
    for snapshot in [1, 2] {
        for day in -1..8 {
            let what = Lacking { created_until: Some(Timestamp::from_second(1_700_000_000 + 86_400 * day).unwrap()) };
            let asked = book.reader().read(|view| {
                let snapshot = view.snapshot(snapshot)?.unwrap();
                let rows = view.lacking(&snapshot, &Filter::default(), what, PageStart::FIRST, 100)?.rows;
                let what = Narrowing { created_until: what.created_until.map(Timestamp::as_second), least_cost: None };
                let sums = view.lacking_sums(&snapshot, &Filter::default(), what)?;
                Ok((rows, (sums.untagged, sums.lacking)))
            });
            let (rows, counts) = asked.unwrap();
            let bare = rows.iter().filter(|row| row.tags.user().next().is_none()).count();
            assert_eq!((bare as u64, (rows.len() - bare) as u64), counts, "snapshot {snapshot}, day {day}");
        }
        let dateless = book
            .reader()
            .read(|view| {
                view.lacking_sums(&view.snapshot(snapshot)?.unwrap(), &Filter::default(), Narrowing::default())
            })
            .unwrap()
            .dateless;
        let first = if snapshot == 1 { 0 } else { 5 };
        let by_hand = (first..first + 90).filter(|n| n % 4 == 0 && n % 3 != 2).count();
        assert_eq!(dateless, by_hand as u64);
    }
}

#[test]
fn a_filter_of_what_the_ledger_never_saw_finds_nothing() {
    let mut book = Book::new();
    book.night(&estate());
    let nowhere = Filter { regions: vec!["us-east-1".parse().unwrap()], ..Filter::default() };
    let page = book.reader().read(|view| view.worst(&view.newest()?.unwrap(), &nowhere, ALL, PageStart::FIRST, 10));
    assert_eq!(ids(&page.unwrap()), Vec::<&str>::new());
}

#[test]
fn findings_are_counted_alike_from_rollups_and_from_facts() {
    let mut book = Book::new();
    book.night(&estate());
    let here = Filter { regions: vec!["eu-west-1".parse().unwrap()], ..Filter::default() };
    let both = book.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        Ok((view.rules(&newest, &Filter::default())?, view.rules(&newest, &here)?))
    });
    let (rollups, facts) = both.unwrap();
    assert_eq!(rollups, facts);
    assert_eq!(rollups.values().sum::<u64>(), 5 * 2 + 5 + 5 * 2 + 5 * 2);
}

/// Every page of some questions to a snapshot, two resources at a time.
fn told(view: &View<'_>, snapshot: &Snapshot) -> Vec<Row> {
    let everywhere = Filter::default();
    let buckets = Filter { types: vec!["s3:bucket".parse().unwrap()], ..Filter::default() };
    let mut told = Vec::new();
    let mut all = |page: &dyn Fn(PageStart) -> Page| {
        let mut start = Some(PageStart::FIRST);
        while let Some(at) = start {
            let Page { rows, next } = page(at);
            told.extend(rows);
            start = next;
        }
    };
    let one_scope = Filter {
        types: vec!["ec2:instance".parse().unwrap()],
        regions: vec!["eu-west-1".parse().unwrap()],
        accounts: vec![account().id],
    };
    for filter in [&everywhere, &buckets, &one_scope] {
        for (errors, warnings) in [(true, true), (true, false), (false, true)] {
            all(&|at| view.worst(snapshot, filter, Worst { errors, warnings }, at, 2).unwrap());
        }
        for created_until in [None, Some(Timestamp::constant(1_700_000_000, 0)), Some(Timestamp::UNIX_EPOCH)] {
            all(&|at| view.lacking(snapshot, filter, Lacking { created_until }, at, 2).unwrap());
        }
    }
    told
}

/// A night in which some came, some went and some were tagged otherwise.
pub(super) fn varied(book: &mut Book, night: usize) {
    let tags = [GOOD, SHORT, OWNERLESS, BARE];
    let kind = |number: usize| tags[(number * 3 + night * (number % 3)) % 4];
    let there = |number: &usize| !(number + night).is_multiple_of(9);
    let instances_now = (0..12).filter(there).map(|number| instance(&number.to_string(), kind(number))).collect();
    let buckets_now = (0..5).filter(there).map(|number| bucket(&number.to_string(), tagged(kind(number)))).collect();
    book.night(&[(instances(), whole(instances_now)), (scope("eu-west-1", "s3:bucket"), whole(buckets_now))]);
}

#[test]
fn what_there_is_to_fix_in_an_earlier_night_is_what_was_told_when_it_was_the_newest() {
    let (mut book, everywhere) = (Book::new(), Filter::default());
    let mut first_told = Vec::new();
    for night in 0..6 {
        varied(&mut book, night);
        // A reader that has seen none of them.
        let reader = book.reader();
        let told = |view: &View<'_>, snapshot: &Snapshot| {
            let judged = view.rejudge(snapshot, &everywhere, &book.policy, 0)?;
            Ok((view.advised(snapshot, Clone::clone)?, view.to_fix(snapshot, &everywhere, usize::MAX)?, judged.scopes))
        };
        for (snapshot, expected) in &first_told {
            assert_eq!(reader.read(|view| told(view, snapshot)).unwrap(), *expected, "night {}", snapshot.id);
        }
        let newest = reader.newest().unwrap().unwrap();
        let now = reader.read(|view| told(view, &newest)).unwrap();
        assert!(now.0.advice.len() > 3 && now.1.steps.len() > 1 && !now.2.is_empty(), "{now:?}");
        first_told.push((newest, now));
    }
}

#[test]
fn pages_of_an_earlier_night_are_those_that_were_told_when_it_was_the_newest() {
    let mut book = Book::new();
    // One reader reads ahead, and holds what has ended; the other looks all up.
    let (held, plain) = (book.reader(), book.reader());
    let mut first_told: Vec<(Snapshot, Vec<Row>)> = Vec::new();
    for night in 0..6 {
        varied(&mut book, night);
        for reader in [&held, &plain] {
            reader
                .read(|view| {
                    let newest = view.newest()?.unwrap();
                    for (snapshot, expected) in &first_told {
                        assert_eq!(told(view, snapshot), *expected, "night {} of {}", snapshot.id, newest.id);
                    }
                    Ok(())
                })
                .unwrap();
        }
        held.read(|view| view.warm_lookups(&view.newest()?.unwrap())).unwrap();
        let now =
            plain.read(|view| view.newest().map(|newest| (newest.clone().unwrap(), told(view, &newest.unwrap()))));
        first_told.push(now.unwrap());
        for (snapshot, expected) in &first_told {
            // Asked twice: read, and then from what is held.
            for _ in 0..2 {
                let again = held.read(|view| Ok(told(view, snapshot))).unwrap();
                assert_eq!(again, *expected, "night {} at hand", snapshot.id);
            }
        }
    }
    assert!(
        first_told.iter().all(|(_, rows)| rows.len() >= 20),
        "the questions have answers: {:?}",
        first_told.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>()
    );
}

#[test]
fn a_resource_that_is_named_is_told_with_the_nights_since_which_it_breaks_rules() {
    let mut book = Book::new();
    book.night(&[(instances(), whole(vec![instance("1", SHORT)]))]);
    book.night(&[(instances(), whole(vec![instance("1", BARE)]))]);
    let named = |view: &View<'_>| view.resources(&view.newest()?.unwrap(), &[instance("1", BARE).arn]);
    let rows = book.reader().read(named).unwrap();
    let found: Vec<_> =
        rows[0].violations.iter().map(|(rule, at)| (rule.tag.as_str(), rule.code.as_str(), *at)).collect();
    let night = |number: i64| Timestamp::constant(1_767_225_600, 0) + (24 * number).hours();
    assert_eq!(found, [("Owner", "MISSING", night(2)), ("Environment", "MISSING", night(2))]);
}
