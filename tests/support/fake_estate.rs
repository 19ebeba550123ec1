//! A fake AWS endpoint with a known estate, and a folder for the ledger of its scans.

use std::path::{Path, PathBuf};

use fake_aws::{AccountEstate, Counts, Estate, FakeAws, Faults, Traps};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    binary::{Outcome, run, sample_policy, scan_command, temp_folder},
    expected::Expected,
    ledger::Ledger,
    recipes::{WAYS, tagged},
};

pub(crate) const HOME: &str = "111122223333";
pub(crate) const MEMBER: &str = "444455556666";

/// One test's cloud and ledger.
pub(crate) struct FakeEstate {
    _runtime: Runtime,
    pub(crate) fake: FakeAws,
    pub(crate) folder: TempDir,
}

impl FakeEstate {
    /// A cloud that holds this estate, tagged in every way in turn.
    pub(crate) fn of(estate: Estate) -> Self {
        Self::holding(tagged(estate, &WAYS))
    }

    /// A cloud that holds this estate, tagged as it is.
    pub(crate) fn holding(estate: Estate) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let fake = runtime.block_on(FakeAws::start(estate, Faults::none())).expect("a free port");
        Self { _runtime: runtime, fake, folder: temp_folder() }
    }

    /// The same cloud, answering at the rates that AWS publishes.
    pub(crate) fn at_published_rates(self) -> Self {
        Self { fake: self.fake.with_rate_limits(), ..self }
    }

    /// Account [`HOME`] in one region with twenty of everything.
    pub(crate) fn small() -> Self {
        Self::of(one_region(Counts { clusters: 3, ..Counts::each(20) }))
    }

    /// The same with faults from the beginning.
    pub(crate) fn failing(self, faults: Faults) -> Self {
        self.fake.set_faults(faults);
        self
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::at(&self.store())
    }

    /// Scans with further arguments.
    pub(crate) fn scan(&self, arguments: &[&str]) -> Outcome {
        self.scan_with(arguments, &[])
    }

    /// Scans with further arguments and environment variables.
    pub(crate) fn scan_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        self.scan_into(&self.store(), arguments, variables)
    }

    /// Scans into another file.
    pub(crate) fn scan_into(&self, store: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let mut command = scan_command(self.folder.path(), &self.fake.endpoint(), store, &sample_policy());
        run(command.args(arguments).envs(variables.iter().copied()))
    }

    /// What a scan that sees everything must record.
    pub(crate) fn expected(&self) -> Expected {
        Expected::of(self.fake.estate(), &WAYS)
    }

    /// Asserts that no call went to an operation that the fake does not serve.
    #[track_caller]
    pub(crate) fn asks_only_what_is_served(&self) {
        let unknown: Vec<_> = self.fake.request_log().unsupported().cloned().collect();
        assert_eq!(unknown, [], "operations without which the scan should do");
    }
}

/// One account with one region.
pub(crate) fn one_region(counts: Counts) -> Estate {
    Estate::new(HOME).with_account(AccountEstate::new(HOME).with_region("us-east-1", counts))
}

/// Everything that a careless scanner trips over.
pub(crate) fn all_traps() -> Traps {
    Traps { terminated_every: 7, stopped_every: 4, inactive_every: 5, short_arn_every: 6, ..Traps::default() }
}
