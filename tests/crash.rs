//! The ledger after its scanner was killed or its disk was full: it has the earlier snapshots, complete, and nothing
//! else.

#![cfg(test)]

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fake_aws::{AccountEstate, Counts, Estate};
use support::{
    binary::{run, sample_policy, scan_command},
    fake_estate::{FakeEstate, HOME, MEMBER},
};
use tagledger_ledger::{ChecksumState, LedgerReader};

const KILLS: u64 = 300;

/// Two states of one company: other counts, and so other resources, in most scopes.
fn company(counts: [usize; 2]) -> FakeEstate {
    let regions = |account: AccountEstate, n: usize| {
        account.with_region("eu-west-1", Counts::each(n)).with_region("us-east-1", Counts::each(n / 2))
    };
    let [home, member] = counts;
    let estate = Estate::new(HOME).with_account(regions(AccountEstate::new(HOME), home));
    FakeEstate::of(estate.with_account(regions(AccountEstate::new(MEMBER), member)))
}

fn scan(world: &FakeEstate, store: &Path) -> Command {
    let mut command = scan_command(world.folder.path(), &world.fake.endpoint(), store, &sample_policy());
    command.args(["--accounts", MEMBER, "--retention", "1d"]);
    command
}

/// Number and fingerprint of the newest snapshot, of a ledger that passes its check.
fn sound(store: &Path) -> (i64, i64) {
    let reader = LedgerReader::new(store);
    let report = reader.verify(true, |_| {}).expect("the ledger can be read");
    assert_eq!(report.faults, Vec::<String>::new());
    let newest = reader.read(|view| view.newest()).expect("the ledger can be read").expect("a snapshot");
    (newest.id, newest.fingerprint)
}

/// Numbers that follow from each other; the moments need no better ones.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// A scan that is killed at any of 300 random moments leaves either the previous or the complete new snapshot. The next
/// scan succeeds, and its snapshot is the same as without the kills.
#[test]
fn kill_at_any_point_keeps_ledger_consistent() {
    let (before, after) = (company([9, 6]), company([7, 10]));
    let store = before.store();
    let started = Instant::now();
    run(&mut scan(&before, &store)).exits(0);
    let whole_scan = started.elapsed();
    let first = sound(&store).1;
    let second = {
        let other = after.store();
        run(&mut scan(&before, &other)).exits(0);
        run(&mut scan(&after, &other)).exits(0);
        sound(&other).1
    };
    assert_ne!(first, second);
    let (mut seed, mut newest, mut cut_short) = (7, sound(&store), 0);
    for kill in 0..KILLS {
        let (world, fingerprint) = if newest.1 == first { (&after, second) } else { (&before, first) };
        let mut child = scan(world, &store).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let micros = u64::try_from(whole_scan.as_micros()).expect("a short scan") * 11 / 10;
        thread::sleep(Duration::from_micros(next(&mut seed) % micros));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let now = sound(&store);
        assert!(now == newest || now == (newest.0 + 1, fingerprint), "kill {kill}: {newest:?} became {now:?}");
        cut_short += u64::from(now == newest);
        newest = now;
    }
    assert!(cut_short > KILLS / 4, "only {cut_short} of {KILLS} kills hit a scan before its commit");
    let (world, fingerprint) = if newest.1 == first { (&after, second) } else { (&before, first) };
    run(&mut scan(world, &store)).exits(0);
    assert_eq!(sound(&store), (newest.0 + 1, fingerprint));
    assert_eq!(LedgerReader::new(&store).verify(false, |_| {}).expect("a ledger").checksum, ChecksumState::Matches);
}

/// Scans on a file system of so many KiB, in a name space of its own that takes it away again; what is left is copied
/// out beside the world's ledger.
fn scan_on_small_disk(world: &FakeEstate, kib: u64) -> (support::binary::Outcome, std::path::PathBuf) {
    let (disk, left) = (world.folder.path().join("disk"), world.folder.path().join(format!("left-{kib}")));
    fs::create_dir_all(&disk).expect("a folder");
    fs::create_dir_all(&left).expect("a folder");
    let inner = scan(world, &disk.join("ledger.sqlite"));
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().expect("plain text"));
    let expected: Vec<String> = std::iter::once(inner.get_program()).chain(inner.get_args()).map(quoted).collect();
    let script = format!(
        "mount -t tmpfs -o size={kib}k none '{disk}' && cp '{store}' '{disk}/ledger.sqlite' || exit 90
         {command}; code=$?
         cp '{disk}'/ledger.sqlite* '{left}'/; exit $code",
        disk = disk.display(),
        store = world.store().display(),
        left = left.display(),
        command = expected.join(" ")
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    for (name, value) in inner.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    let outcome = run(&mut command);
    assert_ne!(outcome.code, Some(90), "no small disk could be made: {}", outcome.stderr);
    (outcome, left.join("ledger.sqlite"))
}

/// A scan on a full disk fails with that reason and leaves the earlier snapshots unchanged. After space is freed, the
/// next scan succeeds.
#[test]
fn full_disk_keeps_previous_snapshots() {
    let (before, after) = (company([9, 6]), company([40, 30]));
    run(&mut scan(&before, &after.store())).exits(0);
    let old = sound(&after.store());
    let ledger = fs::metadata(after.store()).expect("the ledger").len() / 1024;
    let (mut full, mut fits) = (0, 0);
    for room in [8, 40, 80, 120, 160, 240, 320, 400, 600, 4000] {
        let (outcome, left) = scan_on_small_disk(&after, ledger + room);
        let now = sound(&left);
        match outcome.code {
            Some(0) => {
                assert_eq!(now.0, old.0 + 1, "{room} KiB of room");
                fits += 1;
            }
            _ => {
                let outcome = outcome.complains(&["the disk is full"]);
                assert_eq!(now, old, "{room} KiB of room: {}", outcome.stderr);
                full += 1;
            }
        }
        // With room again, the next scan goes on from there.
        run(&mut scan(&after, &left)).exits(0);
        assert_eq!(sound(&left).0, now.0 + 1);
    }
    assert!(full >= 3 && fits >= 1, "{full} full, {fits} fit");
}

/// A scan of a read-only ledger fails with the reason, and `store check` reads it without faults.
#[test]
fn read_only_ledger_fails_scan_and_allows_reads() {
    let world = company([5, 4]);
    run(&mut scan(&world, &world.store())).exits(0);
    let folder = world.folder.path().join("read-only");
    fs::create_dir(&folder).expect("a folder");
    // A file that nobody may write, root included: a mount of its own, for reading only.
    let script = format!(
        "cp '{store}' '{folder}/ledger.sqlite' && mount --bind '{folder}/ledger.sqlite' '{folder}/ledger.sqlite' \
         && mount -o remount,bind,ro '{folder}/ledger.sqlite' || exit 90
         '{program}' scan --store '{folder}/ledger.sqlite' --policy '{policy}' 2>&1 | tail -1
         '{program}' store --store '{folder}/ledger.sqlite' check 2>&1 | tail -1",
        store = world.store().display(),
        folder = folder.display(),
        program = env!("CARGO_BIN_EXE_tagledger"),
        policy = sample_policy().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command
        .env("AWS_ENDPOINT_URL", world.fake.endpoint())
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "x");
    let outcome = run(&mut command).exits(0);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].contains("cannot be written; check the permissions"), "{lines:?}");
    assert_eq!(lines[1], "no errors", "{lines:?}");
}
