//! Finds the account and region of resources that a request names by ARN.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tagledger_ledger::{
    ReadSession, ResourceRow, Snapshot,
    query::{compliance, resource_by_arn},
};
use tagledger_model::{
    AccountId, Arn, Partition, Region,
    inventory::{Gap, Scope},
    resource_ref::{InvalidResourceRef, ResourceRef},
    resource_types::arn_shape::ArnScope,
};
use tagledger_policy::Policy;
use tokio::time::Instant;

use crate::{
    app_state::AppState, auth::account_scope::AccountScope, error::ToolFailure,
    tools::live::validation_result::Problem, untrusted_text::escape,
};

/// How a requested ARN is handled.
pub(crate) enum LookupRequest {
    /// The resource is read from AWS, in this scope.
    Reachable(Scope, Arn),
    /// AWS has no such bucket.
    NotFound(ResourceRef),
    /// The resource is not read, for this reason.
    Refused(Option<ResourceRef>, Problem),
}

/// The scopes of buckets that the snapshot does not have, or the reason why they are not known.
pub(crate) type LocatedBuckets = Result<BTreeMap<Arn, Scope>, Gap>;

/// What the ledger knows of the requested resources before AWS is queried.
pub(crate) struct LedgerMatch {
    pub(crate) snapshot: Snapshot,
    pub(crate) policy: Arc<Policy>,
    accounts: BTreeMap<AccountId, Partition>,
    /// The accounts that the caller may read.
    pub(crate) account_scope: AccountScope,
    regions: BTreeSet<Region>,
    pub(crate) rows: BTreeMap<Arn, ResourceRow>,
    pub(crate) notes: Vec<String>,
}

impl LedgerMatch {
    /// Reads the policy, the scanned accounts and regions, and the requested resources of the snapshot.
    pub(crate) fn load(
        app: &AppState,
        session: &ReadSession<'_>,
        snapshot: Snapshot,
        named: &[Result<ResourceRef, InvalidResourceRef>],
        account_scope: &AccountScope,
    ) -> Result<Self, ToolFailure> {
        let snapshot_policy = session.policy(&snapshot)?;
        let policy = app.policy().get().0.unwrap_or_else(|| Arc::clone(&snapshot_policy));
        let mut notes = Vec::new();
        if policy.digest() != snapshot_policy.digest() {
            let version = escape(policy.version());
            notes.push(format!(
                "Evaluated by the current policy file, version {version}. The snapshot was evaluated by another policy."
            ));
        }
        let (scanned, regions): (BTreeSet<AccountId>, BTreeSet<Region>) = compliance::list_scopes(session, &snapshot)?
            .iter()
            .map(|row| (row.scope.account.clone(), row.scope.region.clone()))
            .unzip();
        let accounts =
            resource_by_arn::list_accounts(session).into_iter().filter(|account| scanned.contains(&account.id));
        let accounts = accounts.map(|account| (account.id, account.partition)).collect();
        let arns: Vec<Arn> = named.iter().flatten().map(|named| named.arn.clone()).collect();
        let rows = resource_by_arn::find_resources(session, &snapshot, &arns)?
            .into_iter()
            .filter(|row| account_scope.contains(&row.scope.account));
        let rows = rows.map(|row| (row.arn.clone(), row)).collect();
        Ok(Self { snapshot, policy, accounts, account_scope: account_scope.clone(), regions, rows, notes })
    }

    /// Finds the scopes of the requested buckets that the snapshot does not have, with `s3:ListBuckets`.
    pub(crate) async fn locate_buckets(
        &self,
        app: &AppState,
        named: &[Result<ResourceRef, InvalidResourceRef>],
        deadline: Instant,
    ) -> LocatedBuckets {
        let is_located = |named: &&ResourceRef| {
            named.resource_type.spec().arn.scope != ArnScope::Global
                || self.rows.contains_key(&named.arn)
                || self.is_other_partition(&named.arn)
        };
        let buckets: Vec<Arn> =
            named.iter().flatten().filter(|n| !is_located(n)).map(|named| named.arn.clone()).collect();
        if buckets.is_empty() {
            return Ok(BTreeMap::new());
        }
        app.lookup().locate_buckets(&buckets, deadline).await.map(|located| located.into_iter().collect())
    }

    /// Whether a bucket belongs to a partition that was not scanned.
    fn is_other_partition(&self, bucket: &Arn) -> bool {
        !self.accounts.values().any(|partition| partition.as_str() == bucket.partition())
    }

    /// Determines the scope of a resource. Only scanned accounts are allowed. Otherwise, a caller could make the server assume roles in
    /// any account.
    pub(crate) fn resolve(
        &self,
        named: Result<ResourceRef, InvalidResourceRef>,
        located: &LocatedBuckets,
    ) -> LookupRequest {
        let named = match named {
            Ok(named) => named,
            Err(invalid) => return LookupRequest::Refused(None, Problem::invalid_arn(invalid)),
        };
        let ResourceRef { arn, resource_type } = &named;
        let (Some(account), Some(region)) = (arn.account(), arn.region()) else {
            return self.resolve_bucket(named, located);
        };
        match self.accounts.get(&account) {
            _ if !self.account_scope.contains(&account) => {
                LookupRequest::Refused(Some(named), Problem::account_not_allowed())
            }
            None => LookupRequest::Refused(Some(named), Problem::account_not_scanned()),
            Some(partition) if partition.as_str() != arn.partition() => {
                LookupRequest::Refused(Some(named), Problem::other_partition())
            }
            // The server keeps a client for each region, and a caller could invent any number of region names.
            Some(_) if !self.regions.contains(&region) => {
                LookupRequest::Refused(Some(named), Problem::region_not_scanned())
            }
            Some(_) => LookupRequest::Reachable(Scope { account, region, resource_type: *resource_type }, arn.clone()),
        }
    }

    fn resolve_bucket(&self, named: ResourceRef, located: &LocatedBuckets) -> LookupRequest {
        if self.is_other_partition(&named.arn) {
            return LookupRequest::Refused(Some(named), Problem::other_partition());
        }
        if let Some(row) = self.rows.get(&named.arn) {
            return LookupRequest::Reachable(row.scope.clone(), named.arn);
        }
        match located.as_ref().map(|located| located.get(&named.arn)) {
            // The account of the bucket would reveal that the bucket exists.
            Ok(Some(scope)) if !self.account_scope.contains(&scope.account) => {
                LookupRequest::Refused(Some(named), Problem::unknown_bucket_account())
            }
            Ok(Some(scope)) => LookupRequest::Reachable(scope.clone(), named.arn),
            // Bucket names are unique across all accounts, but the list has only the buckets of the server's own account.
            Ok(None) if self.accounts.len() > 1 => {
                LookupRequest::Refused(Some(named), Problem::unknown_bucket_account())
            }
            Ok(None) => LookupRequest::NotFound(named),
            Err(_) if !self.account_scope.is_unrestricted() => {
                LookupRequest::Refused(Some(named), Problem::unknown_bucket_account())
            }
            Err(gap) => LookupRequest::Refused(Some(named), Problem::from_gap(gap)),
        }
    }
}

impl LookupRequest {
    /// The scope and ARN, if the resource is to be read from AWS.
    pub(crate) fn target(&self) -> Option<(Scope, Arn)> {
        match self {
            Self::Reachable(scope, arn) => Some((scope.clone(), arn.clone())),
            Self::NotFound(_) | Self::Refused(..) => None,
        }
    }
}
