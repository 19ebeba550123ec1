//! What follows from what is held of living resources: the same as from the file.

use super::{
    single::{EC2, costs, harvest, machine, pool, shared, usd},
    *,
};

fn warm(reader: &Reader) {
    let warmed = reader.read(|view| {
        let newest = view.newest()?.unwrap();
        view.warm(&newest)?;
        view.warm_living(&newest)?;
        view.warm_lookups(&newest)?;
        view.warm_to_fix(&newest)
    });
    warmed.unwrap();
}

/// A policy that exempts nothing.
fn plain() -> String {
    POLICY.split("\"exemptions\"").next().unwrap().trim_end().trim_end_matches(',').to_owned() + "}"
}

#[test]
fn a_draft_and_a_plan_come_to_the_same_whatever_was_read_ahead() {
    let tags = |n: usize| [GOOD, SHORT, OWNERLESS, BARE][n % 4];
    let plain = plain();
    let drafts = [
        plain.replace("\"staging\"", "\"Production\""),
        plain.replace("\"production\"", "\"live\""),
        plain.replace("[\"ec2:instance\", \"s3:bucket\"]", "[\"s3:bucket\"]"),
        plain.replace("\"Environment\"", "\"Name\"").replace("\"production\", ", "\"web-1\", "),
        plain.replace("\"required_tags\"", "\"tag_naming_rules\": {\"case_sensitivity\": false}, \"required_tags\""),
        POLICY.replace("legacy-*", "b-*"),
    ];
    let mut dear = 0;
    // Of more than 24, only some are held.
    for (instances_now, named) in [(17, false), (17, true), (30, false)] {
        let mut book = Book::new();
        // One machine costs more than fits.
        let mut singles = shared(vec![pool("ec2:instance", "m5.large", "30000", 9_000)]);
        if named {
            singles = costs(singles.days);
            let charges = singles.charges.as_mut().unwrap();
            let charged = |(id, amount): (&str, &str)| (EC2.to_owned(), id.to_owned(), usd(amount));
            charges.services = vec![(EC2.to_owned(), usd("9000"))];
            charges.resources = [("i-4", "6000"), ("i-8", "30"), ("i-12", "-40")].map(charged).to_vec();
        }
        let machines =
            (0..instances_now).map(|n| machine(&n.to_string(), tags(n), if n == 4 { 9 } else { 1 })).collect();
        let unread = bucket("u", Tags::Unknown(gap(GapReason::Throttled)));
        let buckets = (0..5).map(|n| bucket(&format!("b-{n}"), tagged(tags(n)))).chain([unread]).collect();
        let blind = (scope("eu-north-1", "s3:bucket"), whole(vec![bucket("c", Tags::Untaggable)]));
        let found = [(instances(), whole(machines)), (scope("eu-west-1", "s3:bucket"), whole(buckets)), blind];
        book.write(&found, |night| night.bill(&harvest(singles, &[(EC2, "30000")])));
        let (ahead, behind) = (book.reader(), book.reader());
        warm(&ahead);
        let buckets = Filter { types: vec!["s3:bucket".parse().unwrap()], ..Filter::default() };
        for filter in [Filter::default(), buckets] {
            let to_fix = |view: &View<'_>| view.to_fix(&view.newest()?.unwrap(), &filter, usize::MAX);
            let expected = behind.read(to_fix).unwrap();
            assert!(!expected.steps.is_empty());
            assert_eq!(ahead.read(to_fix).unwrap(), expected, "of {instances_now}, {filter:?}");
            for (number, draft) in drafts.iter().enumerate() {
                let draft = Policy::parse(draft).unwrap();
                let told = |view: &View<'_>| {
                    let judged = view.rejudge(&view.newest()?.unwrap(), &filter, &draft, 3)?;
                    Ok((judged.scopes, judged.reasons, judged.failing, judged.unknown))
                };
                let expected = behind.read(told).unwrap();
                assert!(!expected.0.is_empty());
                assert_eq!(expected.3, 1, "one could not be read");
                let costs = expected.2.iter().filter_map(|row| row.cost);
                dear += costs.filter(|cost| cost.monthly > usd("4295")).count();
                assert_eq!(ahead.read(told).unwrap(), expected, "draft {number} of {instances_now}, {filter:?}");
            }
        }
    }
    assert!(dear >= 3, "one of each estate, not {dear}");
}

#[test]
fn a_draft_for_a_night_that_is_no_longer_the_newest_has_no_costs_and_all_of_its_resources() {
    let mut book = Book::new();
    let estate = |tags: &'static [(&str, &str)], there: std::ops::Range<usize>| {
        [(instances(), whole(there.map(|n| machine(&n.to_string(), tags, 1)).collect()))]
    };
    // Each costs more than fits.
    let dear = harvest(shared(vec![pool("ec2:instance", "m5.large", "40000", 720)]), &[(EC2, "40000")]);
    book.write(&estate(GOOD, 0..4), |night| night.bill(&dear));
    let ahead = book.reader();
    warm(&ahead);
    let draft = Policy::parse(&plain().replace("production", "live")).unwrap();
    let told = |view: &View<'_>| {
        let judged = view.rejudge(&view.snapshot(1)?.unwrap(), &Filter::default(), &draft, 100)?;
        Ok((judged.scopes, judged.reasons, judged.failing.iter().map(|row| row.arn.clone()).collect::<Vec<_>>()))
    };
    let newest = ahead.read(told).unwrap();
    assert_eq!((newest.0[0].1.newly_failing, newest.0[0].1.newly_failing_with_cost), (4, 4));
    book.night(&estate(SHORT, 1..4));
    let then = ahead.read(told).unwrap();
    assert_eq!((then.0[0].1.newly_failing, then.0[0].1.newly_failing_with_cost), (4, 0));
    assert_eq!(then, book.reader().read(told).unwrap());
}

#[test]
fn what_is_held_and_has_gone_from_the_file_is_asked_of_nobody() {
    let mut book = Book::new();
    let tags: &[(&str, &str)] = &[("Owner", "gone@b.example"), ("Environment", "staging")];
    book.night(&[(instances(), whole(vec![instance("1", tags)]))]);
    (1..15).for_each(|_| drop(book.night(&[(instances(), whole(vec![instance("1", GOOD)]))])));
    let reader = book.reader();
    warm(&reader);
    let gone = "SELECT count(*) FROM tag WHERE value = 'gone@b.example'";
    assert_eq!(book.number(gone), 1);
    Writer::open(&book.path()).unwrap().thin(&"3d".parse().unwrap(), jiff::civil::date(2026, 1, 16)).unwrap();
    assert_eq!(book.number(gone), 0);
    let draft = Policy::parse(&plain()).unwrap();
    let told = |view: &View<'_>| Ok(view.rejudge(&view.newest()?.unwrap(), &Filter::default(), &draft, 100)?.scopes);
    let scopes = reader.read(told).unwrap();
    assert_eq!((scopes.len(), scopes[0].1.draft.compliant), (1, 1));
}

#[test]
fn a_bucket_that_moved_has_moved_whatever_was_read_ahead() {
    let mut book = Book::new();
    let regions = ["eu-west-1", "us-east-1"].map(|region| scope(region, "s3:bucket"));
    let night = |book: &mut Book, here: Vec<Resource>, there: Vec<Resource>| {
        book.night(&[(regions[0].clone(), whole(here)), (regions[1].clone(), whole(there))]);
    };
    let gone = bucket("gone", tagged(GOOD));
    let bucket = |tags| vec![bucket("b", tagged(tags))];
    night(&mut book, [bucket(BARE), vec![gone.clone()]].concat(), vec![]);
    night(&mut book, [bucket(SHORT), vec![gone]].concat(), vec![]);
    night(&mut book, vec![], bucket(GOOD));
    night(&mut book, vec![], bucket(SHORT));
    let (ahead, behind) = (book.reader(), book.reader());
    warm(&ahead);
    // From the second to the fourth night its tags are the same.
    for (earlier, later, at) in [(1, 2, 0), (1, 3, 1), (2, 3, 1), (1, 4, 1), (3, 4, 1)] {
        for reader in [&ahead, &behind] {
            let scopes = reader.read(|view| {
                let nights = [earlier, later].map(|id| view.snapshot(id).unwrap().unwrap());
                let found = view.differences(&nights[0], &nights[1])?;
                Ok(found.changed.iter().map(|one| (*one.scope).clone()).collect::<Vec<_>>())
            });
            assert_eq!(scopes.unwrap(), [regions[at].clone()], "{earlier} to {later}");
        }
    }
}

#[test]
fn what_there_is_to_fix_in_a_part_of_the_estate_is_of_that_part_and_the_parts_add_up() {
    let mut book = Book::new();
    for night in 0..3 {
        pages::varied(&mut book, night);
    }
    let parts =
        ["ec2:instance", "s3:bucket"].map(|kind| Filter { types: vec![kind.parse().unwrap()], ..Filter::default() });
    for id in [2, 3] {
        let asked = |view: &View<'_>| {
            let night = view.snapshot(id)?.unwrap();
            let all = view.to_fix(&night, &Filter::default(), usize::MAX)?;
            let (mut standing, mut steps) = (Standing::default(), std::collections::BTreeMap::new());
            for filter in &parts {
                let part = view.to_fix(&night, filter, usize::MAX)?;
                let judged = view.rejudge(&night, filter, &book.policy, 0)?;
                assert_eq!(judged.scopes.iter().map(|(_, sums)| sums.now).collect::<Vec<_>>(), [part.standing]);
                for (step, keys) in part.steps.iter().zip(part.keys()) {
                    let rows = view.resources_of(&night, keys)?;
                    assert_eq!((rows.len() as u64, keys.len() as u64), (step.resources, step.resources));
                    assert!(rows.iter().all(|row| filter.admits(&row.scope)));
                    *steps.entry((step.changes, step.cost)).or_insert(0) += step.resources;
                }
                standing += part.standing;
            }
            assert_eq!(standing, all.standing);
            assert!(all.steps.len() > 1);
            assert_eq!(
                steps.into_values().collect::<Vec<_>>(),
                all.steps.iter().map(|step| step.resources).collect::<Vec<_>>()
            );
            Ok(())
        };
        book.reader().read(asked).unwrap();
    }
}
