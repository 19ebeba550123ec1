//! Resources that a question names, and where AWS is to be asked about them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use shared::{
    AccountId, Arn, Partition, Region, ResourceType,
    inventory::{Gap, Scope},
    named::{Misnamed, Named},
    policy::Policy,
    store::{Row, Snapshot, View},
};
use tokio::time::Instant;

use super::{ToolFailure, validated::Problem};
use crate::{ledger::Ledger, reach::Reach, text::visible};

/// What becomes of one of the texts that were given.
pub(crate) enum Asked {
    /// It is looked at, in this scope.
    Reachable(Scope, Arn),
    /// AWS has no such bucket.
    Nowhere(Named),
    /// It is not looked at.
    Refused(Option<Named>, Problem),
}

/// Where buckets are that the snapshot does not have, or why that is not known.
pub(crate) type Located = Result<BTreeMap<Arn, Scope>, Gap>;

/// What is known before AWS is asked.
pub(crate) struct Known {
    pub(crate) snapshot: Snapshot,
    pub(crate) policy: Arc<Policy>,
    accounts: BTreeMap<AccountId, Partition>,
    /// Of them, those that the caller may ask about.
    pub(crate) within: Reach,
    regions: BTreeSet<Region>,
    pub(crate) rows: BTreeMap<Arn, Row>,
    pub(crate) notes: Vec<String>,
}

impl Known {
    pub(crate) fn read(
        ledger: &Ledger,
        view: &View<'_>,
        snapshot: Snapshot,
        named: &[Result<Named, Misnamed>],
        within: &Reach,
    ) -> Result<Self, ToolFailure> {
        let judged_by = view.policy(&snapshot)?;
        let policy = ledger.policy().get().0.unwrap_or_else(|| Arc::clone(&judged_by));
        let mut notes = Vec::new();
        if policy.digest() != judged_by.digest() {
            let version = visible(policy.version());
            notes.push(format!(
                "Judged by the policy file as it is now, version {version}; the snapshot was judged by another."
            ));
        }
        let (scanned, regions): (BTreeSet<AccountId>, BTreeSet<Region>) =
            view.scopes(&snapshot)?.iter().map(|row| (row.scope.account.clone(), row.scope.region.clone())).unzip();
        let accounts = view.accounts().into_iter().filter(|account| scanned.contains(&account.id));
        let accounts = accounts.map(|account| (account.id, account.partition)).collect();
        let arns: Vec<Arn> = named.iter().flatten().map(|named| named.arn.clone()).collect();
        let rows = view.resources(&snapshot, &arns)?.into_iter().filter(|row| within.has(&row.scope.account));
        let rows = rows.map(|row| (row.arn.clone(), row)).collect();
        Ok(Self { snapshot, policy, accounts, within: within.clone(), regions, rows, notes })
    }

    /// Where those buckets are that the snapshot does not have.
    pub(crate) async fn locate(&self, ledger: &Ledger, named: &[Result<Named, Misnamed>], until: Instant) -> Located {
        let known = |named: &&Named| {
            named.resource_type != ResourceType::S3Bucket
                || self.rows.contains_key(&named.arn)
                || self.foreign(&named.arn)
        };
        let buckets: Vec<Arn> = named.iter().flatten().filter(|n| !known(n)).map(|named| named.arn.clone()).collect();
        if buckets.is_empty() {
            return Ok(BTreeMap::new());
        }
        ledger.live().locate(&buckets, until).await.map(|located| located.into_iter().collect())
    }

    /// Whether a bucket is of a partition that was not scanned.
    fn foreign(&self, bucket: &Arn) -> bool {
        !self.accounts.values().any(|partition| partition.as_str() == bucket.partition())
    }

    /// Where a resource is to be looked for. Only accounts that were scanned are entered: whoever asks could otherwise have
    /// roles assumed in accounts of others.
    pub(crate) fn address(&self, named: Result<Named, Misnamed>, located: &Located) -> Asked {
        let named = match named {
            Ok(named) => named,
            Err(misnamed) => return Asked::Refused(None, Problem::misnamed(misnamed)),
        };
        let Named { arn, resource_type } = &named;
        let (Some(account), Some(region)) = (arn.account(), arn.region()) else {
            return self.address_of_bucket(named, located);
        };
        match self.accounts.get(&account) {
            _ if !self.within.has(&account) => Asked::Refused(Some(named), Problem::beyond_key()),
            None => Asked::Refused(Some(named), Problem::foreign_account()),
            Some(partition) if partition.as_str() != arn.partition() => {
                Asked::Refused(Some(named), Problem::foreign_partition())
            }
            // Each region entered is kept ready, and there is no end of names that look like one.
            Some(_) if !self.regions.contains(&region) => Asked::Refused(Some(named), Problem::foreign_region()),
            Some(_) => Asked::Reachable(Scope { account, region, resource_type: *resource_type }, arn.clone()),
        }
    }

    fn address_of_bucket(&self, named: Named, located: &Located) -> Asked {
        if self.foreign(&named.arn) {
            return Asked::Refused(Some(named), Problem::foreign_partition());
        }
        if let Some(row) = self.rows.get(&named.arn) {
            return Asked::Reachable(row.scope.clone(), named.arn);
        }
        match located.as_ref().map(|located| located.get(&named.arn)) {
            // Whose it is says that it is there.
            Ok(Some(scope)) if !self.within.has(&scope.account) => {
                Asked::Refused(Some(named), Problem::homeless_bucket())
            }
            Ok(Some(scope)) => Asked::Reachable(scope.clone(), named.arn),
            // Names of buckets are one for all accounts, but only the caller's own are listed.
            Ok(None) if self.accounts.len() > 1 => Asked::Refused(Some(named), Problem::homeless_bucket()),
            Ok(None) => Asked::Nowhere(named),
            Err(_) if !self.within.is_all() => Asked::Refused(Some(named), Problem::homeless_bucket()),
            Err(gap) => Asked::Refused(Some(named), Problem::unread(gap)),
        }
    }
}

impl Asked {
    pub(crate) fn wanted(&self) -> Option<(Scope, Arn)> {
        match self {
            Self::Reachable(scope, arn) => Some((scope.clone(), arn.clone())),
            Self::Nowhere(_) | Self::Refused(..) => None,
        }
    }
}
