//! The caller, the accounts to scan, and their regions.

use aws_config::SdkConfig;
use aws_sdk_organizations::{
    types as organizations,
    types::{AccountState, AccountStatus},
};
use tagledger_cloud::{AccountRegion, Accounts};
use tagledger_model::{
    AccountId, Arn, Partition,
    account::Account,
    api::Operation,
    inventory::{Gap, GapReason},
};

use crate::{
    config::limit_attempts,
    error_mapping, listing_builder,
    paginator::Paginator,
    rate_limits::{EC2_REGIONS, ORGANIZATIONS},
    request_counter::Shared,
    session::Session,
    wire::query::{self, xml},
};

const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";

const LIST_ACCOUNTS: Operation = Operation::new("organizations:ListAccounts", ORGANIZATIONS);

const DESCRIBE_REGIONS: Operation = Operation::new("ec2:DescribeRegions", EC2_REGIONS);

/// Maximum number of attempts to identify the caller. It is low, so that a wrong endpoint or a missing network is reported
/// soon.
const MAX_IDENTIFY_ATTEMPTS: u32 = 6;

/// Maximum page size of `ListAccounts`.
const MAX_PAGE_SIZE: i32 = 20;

/// Identifies the account of the credentials through STS.
///
/// # Errors
/// A gap if STS cannot be reached or rejects the credentials.
pub(crate) async fn identify_caller(config: &SdkConfig, shared: &Shared) -> Result<Account, Gap> {
    shared.calls.count("sts:GetCallerIdentity");
    let retries = limit_attempts(config, MAX_IDENTIFY_ATTEMPTS);
    let sts_config = aws_sdk_sts::config::Builder::from(config).retry_config(retries).build();
    let identity = aws_sdk_sts::Client::from_conf(sts_config).get_caller_identity().send().await;
    let identity = identity
        .map_err(|error| add_region_hint(error_mapping::gap_from_error(GET_CALLER_IDENTITY, config, &error)))?;
    caller(identity.arn(), identity.account()).ok_or_else(|| Gap {
        reason: GapReason::Failed,
        operation: GET_CALLER_IDENTITY.to_owned(),
        message: error_mapping::to_one_line(&format!("the response has no account ID: {:?}", identity.arn())),
    })
}

fn caller(arn: Option<&str>, account: Option<&str>) -> Option<Account> {
    let arn: Arn = arn?.parse().ok()?;
    let id = account.and_then(|id| id.parse().ok()).or_else(|| arn.account())?;
    let partition: Partition = arn.partition().parse().ok()?;
    Some(Account { id, partition, name: None })
}

/// Adds a hint about partitions, because the keys of one partition are invalid in the others.
fn add_region_hint(mut gap: Gap) -> Gap {
    if gap.message.contains("InvalidClientTokenId") {
        gap.message.push_str(
            "; check AWS_PROFILE or AWS_ACCESS_KEY_ID, and for an account in China or GovCloud set AWS_REGION \
             to one of its regions, such as cn-north-1 or us-gov-west-1",
        );
    }
    gap
}

/// Returns the caller's account and the accounts with these IDs, each once.
pub(crate) fn from_ids(caller: Account, ids: &[AccountId]) -> Accounts {
    let partition = caller.partition.clone();
    let mut found = vec![caller];
    for id in ids {
        if found.iter().all(|account| account.id != *id) {
            found.push(Account { id: id.clone(), partition: partition.clone(), name: None });
        }
    }
    Accounts { found, gap: None }
}

/// Lists the caller's account and then all other active accounts of its organization, sorted by ID.
pub(crate) async fn list_organization(session: &Session, mut caller: Account) -> Accounts {
    let mut members = Vec::new();
    let gap = add_members(session, &mut members).await.err();
    let (own, mut others): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.id == caller.id);
    caller.name = own.into_iter().find_map(|account| account.name);
    others.sort_by(|a, b| a.id.cmp(&b.id));
    others.dedup_by(|a, b| a.id == b.id);
    others.insert(0, caller);
    Accounts { found: others, gap }
}

async fn add_members(session: &Session, members: &mut Vec<Account>) -> Result<(), Gap> {
    let mut pages = Paginator::new(LIST_ACCOUNTS);
    while let Some(token) = pages.next_page() {
        let request = session.organizations().list_accounts().max_results(MAX_PAGE_SIZE).set_next_token(token);
        let page = session.send(LIST_ACCOUNTS, request.send()).await?;
        members.extend(page.accounts().iter().filter(|a| is_active(a)).filter_map(|a| member(a, &session.partition)));
        pages.advance(page.next_token())?;
    }
    Ok(())
}

/// Whether a role can be assumed in the account. This is not possible in closed and suspended accounts. The field `State`
/// replaces the field `Status`.
fn is_active(account: &organizations::Account) -> bool {
    match (account.state(), account.status()) {
        (Some(state), _) => *state == AccountState::Active,
        (None, Some(status)) => *status == AccountStatus::Active,
        (None, None) => true,
    }
}

fn member(account: &organizations::Account, partition: &Partition) -> Option<Account> {
    let id = account.id()?.parse().ok()?;
    Some(Account { id, partition: partition.clone(), name: account.name().map(str::to_owned) })
}

/// Lists all enabled and disabled regions of the session's account, sorted by name.
///
/// # Errors
/// A gap if the regions could not be listed.
pub(crate) async fn list_regions(session: &Session) -> Result<Vec<AccountRegion>, Gap> {
    let request = query::Request::default().all_regions();
    let response = session.send(DESCRIBE_REGIONS, session.ec2().describe_regions(request)).await?;
    let mut regions: Vec<_> = response.items.iter().filter_map(account_region).collect();
    regions.sort_by(|a, b| a.region.cmp(&b.region));
    if regions.is_empty() {
        return Err(listing_builder::malformed_response(DESCRIBE_REGIONS, "AWS returned no region"));
    }
    Ok(regions)
}

fn account_region(region: &xml::Region) -> Option<AccountRegion> {
    let enabled = region.opt_in_status.as_deref() != Some("not-opted-in");
    Some(AccountRegion { region: region.name.as_ref()?.parse().ok()?, enabled })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::query::xml;

    /// The account and the partition of the caller come from its ARN. An invalid ARN results in no account.
    #[test]
    fn caller_account_and_partition_come_from_arn() {
        let arn = "arn:aws-us-gov:sts::123456789012:assumed-role/scanner/i-0abc";
        let account = caller(Some(arn), None).unwrap();
        assert_eq!((account.id.as_str(), account.partition.as_str()), ("123456789012", "aws-us-gov"));
        assert_eq!(caller(Some("nonsense"), Some("123456789012")), None);
    }

    /// Each account appears once in the list, and the account of the caller is first.
    #[test]
    fn accounts_are_unique_with_caller_first() {
        let own = caller(Some("arn:aws:iam::222222222222:root"), None).unwrap();
        let ids = ["111111111111", "222222222222", "111111111111"].map(|id| id.parse().unwrap());
        let found = from_ids(own, &ids).found;
        assert_eq!(found.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["222222222222", "111111111111"]);
    }

    /// Only accounts that are active, or whose state AWS does not report, are included. Suspended and closed accounts
    /// are not.
    #[test]
    fn only_active_accounts_are_included() {
        let account = || organizations::Account::builder().id("111111111111");
        assert!(is_active(&account().state(AccountState::Active).build()));
        assert!(is_active(&account().build()));
        for state in [AccountState::Suspended, AccountState::PendingClosure, AccountState::Closed] {
            assert!(!is_active(&account().state(state).build()));
        }
        let suspended = account().status(AccountStatus::Suspended).build();
        assert!(!is_active(&suspended));
    }

    /// A region with the opt-in status `not-opted-in` is not enabled.
    #[test]
    fn region_without_opt_in_is_disabled() {
        let region = |status: &str| {
            let region = xml::Region { name: Some("ap-east-1".to_owned()), opt_in_status: Some(status.to_owned()) };
            account_region(&region).unwrap().enabled
        };
        assert!(region("opted-in") && region("opt-in-not-required"));
        assert!(!region("not-opted-in"));
    }
}
