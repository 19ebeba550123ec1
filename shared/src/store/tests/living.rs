//! What follows from what is held of living resources: the same as from the file.

use super::{
    single::{harvest, machine, pool, shared},
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

#[test]
fn a_draft_and_a_plan_come_to_the_same_whatever_was_read_ahead() {
    let tags = |n: usize| [GOOD, SHORT, OWNERLESS, BARE][n % 4];
    let plain = POLICY.split("\"exemptions\"").next().unwrap().trim_end().trim_end_matches(',').to_owned() + "}";
    let drafts = [
        plain.replace("\"staging\"", "\"Production\""),
        plain.replace("[\"ec2:instance\", \"s3:bucket\"]", "[\"s3:bucket\"]"),
        plain.replace("\"Environment\"", "\"Name\"").replace("\"production\", ", "\"web-1\", "),
        plain.replace("\"required_tags\"", "\"tag_naming_rules\": {\"case_sensitivity\": false}, \"required_tags\""),
        POLICY.replace("legacy-*", "b-*"),
    ];
    // Of more than 24, only some are held.
    for instances_now in [18, 30] {
        let mut book = Book::new();
        // One machine costs more than fits.
        let pools = vec![pool("ec2:instance", "m5.large", "9000", 9_000)];
        let machines =
            (0..instances_now).map(|n| machine(&n.to_string(), tags(n), if n == 3 { 9 } else { 1 })).collect();
        let buckets = (0..5).map(|n| bucket(&format!("b-{n}"), tagged(tags(n)))).collect();
        let blind = (scope("eu-north-1", "s3:bucket"), whole(vec![bucket("c", Tags::Untaggable)]));
        let found = [(instances(), whole(machines)), (scope("eu-west-1", "s3:bucket"), whole(buckets)), blind];
        book.write(&found, |night| night.bill(&harvest(shared(pools), &[("Compute", "9000")])));
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
                assert_eq!(ahead.read(told).unwrap(), expected, "draft {number} of {instances_now}, {filter:?}");
            }
        }
    }
}

#[test]
fn a_bucket_that_moved_has_moved_whatever_was_read_ahead() {
    let mut book = Book::new();
    let regions = ["eu-west-1", "us-east-1"].map(|region| scope(region, "s3:bucket"));
    let night = |book: &mut Book, here: Vec<Resource>, there: Vec<Resource>| {
        book.night(&[(regions[0].clone(), whole(here)), (regions[1].clone(), whole(there))]);
    };
    let bucket = |tags| vec![bucket("b", tagged(tags))];
    night(&mut book, bucket(BARE), vec![]);
    night(&mut book, bucket(SHORT), vec![]);
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
