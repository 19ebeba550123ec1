//! What is told of nights, beside their facts.

use super::{upkeep::faults, *};

/// What is asked of a night and its predecessor, if it has one.
fn asked(reader: &Reader, id: i64) -> String {
    let read = reader.read(|view| {
        let snapshot = view.snapshot(id)?.unwrap();
        let advised = view.advised(&snapshot, Clone::clone)?;
        let causes =
            view.night_before(snapshot.started_at)?.map(|before| view.causes(&before, &snapshot)).transpose()?;
        let to_fix = view.to_fix(&snapshot, &Filter::default(), 3)?;
        let keys: Vec<Vec<i64>> = to_fix.keys().into_iter().map(<[i64]>::to_vec).collect();
        Ok(format!("{advised:?} {causes:?} {:?} {:?} {keys:?}", to_fix.standing, to_fix.steps))
    });
    read.unwrap()
}

fn told_nights(book: &Book) -> String {
    let text = "SELECT coalesce(group_concat(snapshot_id, ' ' ORDER BY snapshot_id), '') FROM told";
    book.sql().query_row(text, [], |row| row.get(0)).unwrap()
}

/// A night, by another policy from the sixth on.
fn add(book: &mut Book, night: usize) {
    if night == 5 {
        book.policy = Policy::parse(&POLICY.replace("production", "live")).unwrap();
    }
    pages::varied(book, night);
}

fn lively(nights: usize) -> Book {
    let mut book = Book::new();
    (0..nights).for_each(|night| add(&mut book, night));
    book
}

#[test]
fn what_is_told_of_a_night_is_what_its_facts_say_whenever_it_is_asked() {
    let (mut told, mut silent) = (Book::new(), Book::new());
    let held = told.reader();
    for night in 0..8 {
        add(&mut told, night);
        add(&mut silent, night);
        told.tell();
        for id in 1..=told.nights {
            let facts = asked(&silent.reader(), id);
            assert_eq!(asked(&told.reader(), id), facts, "night {id} of {night}");
            // Who was asked of it when it was the newest tells the same.
            assert_eq!(asked(&held, id), facts, "night {id} of {night}");
        }
    }
    assert_eq!((told_nights(&told).as_str(), told_nights(&silent).as_str()), ("1 2 3 4 5 6 7 8", ""));
    assert!(asked(&told.reader(), 6).contains("Policy"), "{}", asked(&told.reader(), 6));
    assert_eq!(faults(&told), Vec::<String>::new());
}

#[test]
fn nights_that_nobody_told_are_told_after_the_next_one() {
    let mut book = lively(2);
    book.tell();
    assert_eq!(told_nights(&book), "2", "of those before only the newest");
    for night in 2..5 {
        pages::varied(&mut book, night);
    }
    book.tell();
    book.tell();
    assert_eq!(told_nights(&book), "2 3 4 5");
    assert_eq!(faults(&book), Vec::<String>::new());
}

#[test]
fn a_night_that_is_compared_with_another_than_the_one_before_it_is_looked_through() {
    let (book, silent) = (lively(6), lively(6));
    book.tell();
    let causes = |book: &Book, earlier, later| {
        let read = book.reader().read(|view| {
            let [earlier, later] = [earlier, later].map(|id| view.snapshot(id).map(Option::unwrap));
            view.causes(&earlier?, &later?)
        });
        read.unwrap()
    };
    assert_ne!(causes(&book, 5, 6), causes(&book, 2, 6));
    assert_eq!(causes(&book, 2, 6), causes(&silent, 2, 6));
}

/// Keys of what there is to fix of night 1, as told where so many are.
fn keys(book: &Book, wanted: usize) -> Vec<i64> {
    let read = book.reader().read(|view| {
        let to_fix = view.to_fix(&view.snapshot(1)?.unwrap(), &Filter::default(), wanted)?;
        Ok(to_fix.keys().concat())
    });
    read.unwrap()
}

#[test]
fn of_many_resources_to_fix_the_first_hundred_are_told() {
    let mut book = Book::new();
    // Nine in nineteen have both tags wrong, and come behind those with one.
    let tags = |n: usize| if n % 19 < 9 { BARE } else { SHORT };
    let estate = || whole((0..190).map(|n| instance(&n.to_string(), tags(n))).collect());
    book.night(&[(instances(), estate())]);
    book.tell();
    book.night(&[(instances(), whole(vec![instance("0", GOOD)]))]);
    let facts = keys(&book, 101);
    assert_eq!(facts.len(), 190, "the rest is in the facts alone");
    assert_eq!(keys(&book, 100), facts[..100]);
    let steps = r#""steps":[{"changes":1,"resources":100},{"changes":2,"resources":90}]"#;
    assert!(book.sql().query_row("SELECT body FROM told", [], |row| row.get::<_, String>(0)).unwrap().contains(steps));
}

#[test]
fn an_earlier_night_is_answered_from_what_was_told_and_from_its_facts_when_that_cannot_be_read() {
    let mut book = lively(3);
    book.tell();
    pages::varied(&mut book, 3);
    let facts = asked(&lively(3).reader(), 3);
    let tampered = |tamper: &str| {
        assert_eq!(book.sql().execute(tamper, []).unwrap(), 1, "{tamper}");
        asked(&book.reader(), 3)
    };
    let otherwise = "UPDATE told SET body = replace(replace(replace(body, '\"changes\":1', '\"changes\":71'),
        '\"groups\":', '\"groups\":72'), '{\"resources\":', '{\"resources\":73')";
    let told = tampered(otherwise);
    assert!(["changes: 71", "groups: 72", "Moved { resources: 73"].iter().all(|part| told.contains(part)), "{told}");
    assert_eq!(tampered("UPDATE told SET body = 'nonsense'"), facts);
    assert_eq!(tampered("UPDATE told SET body = '{\"program\": \"of old\"}'"), facts);
    // What another program told is not ours to judge; only that it was written without us.
    let found = faults(&book);
    assert!(found.len() == 1 && found[0].contains("sealed"), "{found:?}");
}

#[test]
fn of_a_night_that_is_no_longer_the_newest_no_costs_are_told_whoever_asked_before() {
    let mut book = Book::new();
    let estate = || whole((0..4).map(|n| single::machine(&n.to_string(), BARE, 1)).collect());
    book.write(&[(instances(), estate())], |night| night.bill(&single::costly()));
    book.tell();
    let held = book.reader();
    held.read(|view| view.warm_to_fix(&view.newest()?.unwrap())).unwrap();
    let newest = asked(&held, 1);
    assert!(newest.contains("with_cost: 4") && !newest.contains("cost: None"), "{newest}");
    book.night(&[(instances(), estate())]);
    let then = asked(&held, 1);
    assert_eq!(then, asked(&book.reader(), 1));
    // Nor where it is looked through.
    book.sql().execute("DELETE FROM told", []).unwrap();
    assert_eq!((asked(&held, 1), asked(&book.reader(), 1)), (then.clone(), then.clone()));
    assert!(then.contains("with_cost: 0") && then.contains("cost: None"), "{then}");
}

#[test]
fn what_is_told_of_a_night_goes_with_it_and_the_rest_stays_true() {
    let mut book = Book::new();
    for night in 0..40 {
        pages::varied(&mut book, night);
        book.tell();
    }
    let newest = book.reader().newest().unwrap().unwrap();
    let before: Vec<String> = (1..=40).map(|id| asked(&book.reader(), id)).collect();
    let retention: Retention = "10d".parse().unwrap();
    let mut writer = Writer::open(&book.path()).unwrap();
    let thinned = writer.thin(&retention, crate::day::day_of(newest.started_at)).unwrap();
    drop(writer);
    assert!(thinned.nights > 0);
    let kept = book.number("SELECT count(*) FROM snapshot WHERE kept");
    assert_eq!(told_nights(&book).split(' ').count(), usize::try_from(kept).unwrap());
    assert_eq!(faults(&book), Vec::<String>::new());
    // Of the newest ten the night before is kept too.
    for id in 35..=40 {
        assert_eq!(asked(&book.reader(), id), before[usize::try_from(id).unwrap() - 1], "night {id}");
    }
}

#[test]
fn a_check_finds_a_night_of_which_something_else_is_told() {
    let tampers = [
        "UPDATE told SET body = replace(body, '\"groups\":', '\"groups\":1') WHERE snapshot_id = 2",
        "UPDATE told SET body = 'nonsense' WHERE snapshot_id = 2",
        "UPDATE told SET body = (SELECT body FROM told WHERE snapshot_id = 1) WHERE snapshot_id = 2",
    ];
    for tamper in tampers {
        let mut book = Book::new();
        for night in 0..2 {
            pages::varied(&mut book, night);
            book.tell();
        }
        assert_eq!(faults(&book), Vec::<String>::new());
        assert_eq!(book.sql().execute(tamper, []).unwrap(), 1, "{tamper}");
        let found = faults(&book);
        assert!(found.iter().any(|fault| fault.contains("snapshot 2: what is told of it")), "{tamper}: {found:?}");
    }
}
