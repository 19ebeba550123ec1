//! Who is calling, whose accounts there are, and their regions.

use aws_config::SdkConfig;
use aws_sdk_organizations::types::{self as organizations, AccountState, AccountStatus};
use aws_smithy_types::retry::RetryConfig;

use super::{
    ec2, errors, found,
    limits::{Family, Operation},
    pages::Pages,
    session::{Session, Shared},
};
use crate::{
    AccountId, Arn, Partition,
    cloud::{Account, AccountRegion, Accounts},
    inventory::{Gap, GapReason},
};

const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";
const LIST_ACCOUNTS: Operation = Operation::new("organizations:ListAccounts", Family::Organizations);
const DESCRIBE_REGIONS: Operation = Operation::new("ec2:DescribeRegions", Family::Ec2Regions);

/// Whoever starts a scan with a wrong endpoint or without a network waits for this call and wants to hear of it soon.
const MOST_ATTEMPTS: u32 = 6;

/// The most accounts that AWS gives on a page.
const ACCOUNTS_PER_PAGE: i32 = 20;

/// Asks STS whose credentials these are.
///
/// # Errors
/// STS cannot be reached, or does not take them.
pub(super) async fn identify(config: &SdkConfig, shared: &Shared) -> Result<Account, Gap> {
    shared.calls.count("sts:GetCallerIdentity");
    let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let retries = retries.clone().with_max_attempts(retries.max_attempts().min(MOST_ATTEMPTS));
    let patient = aws_sdk_sts::config::Builder::from(config).retry_config(retries).build();
    let identity = aws_sdk_sts::Client::from_conf(patient).get_caller_identity().send().await;
    let identity = identity.map_err(|error| with_region_hint(errors::gap(GET_CALLER_IDENTITY, config, &error)))?;
    caller(identity.arn(), identity.account()).ok_or_else(|| Gap {
        reason: GapReason::Failed,
        operation: GET_CALLER_IDENTITY.to_owned(),
        message: errors::one_line(&format!("the answer names no account: {:?}", identity.arn())),
    })
}

fn caller(arn: Option<&str>, account: Option<&str>) -> Option<Account> {
    let arn: Arn = arn?.parse().ok()?;
    let id = account.and_then(|id| id.parse().ok()).or_else(|| arn.account())?;
    let partition: Partition = arn.partition().parse().ok()?;
    Some(Account { id, partition, name: None })
}

/// Keys of one partition are unknown in the others.
fn with_region_hint(mut gap: Gap) -> Gap {
    if gap.message.contains("InvalidClientTokenId") {
        gap.message.push_str(
            "; check AWS_PROFILE or AWS_ACCESS_KEY_ID, and for an account in China or GovCloud set AWS_REGION \
             to one of its regions, such as cn-north-1 or us-gov-west-1",
        );
    }
    gap
}

/// The caller's account and these, each once.
pub(super) fn listed(caller: Account, ids: &[AccountId]) -> Accounts {
    let partition = caller.partition.clone();
    let mut found = vec![caller];
    for id in ids {
        if found.iter().all(|account| account.id != *id) {
            found.push(Account { id: id.clone(), partition: partition.clone(), name: None });
        }
    }
    Accounts { found, gap: None }
}

/// The caller's account and all other active ones of its organization, in the order of their ids.
pub(super) async fn of_organization(session: &Session, mut caller: Account) -> Accounts {
    let mut members = Vec::new();
    let gap = read_organization(session, &mut members).await.err();
    let (own, mut others): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.id == caller.id);
    caller.name = own.into_iter().find_map(|account| account.name);
    others.sort_by(|a, b| a.id.cmp(&b.id));
    others.dedup_by(|a, b| a.id == b.id);
    others.insert(0, caller);
    Accounts { found: others, gap }
}

async fn read_organization(session: &Session, members: &mut Vec<Account>) -> Result<(), Gap> {
    let mut pages = Pages::of(LIST_ACCOUNTS);
    while let Some(token) = pages.next() {
        let request = session.organizations().list_accounts().max_results(ACCOUNTS_PER_PAGE).set_next_token(token);
        let page = session.send(LIST_ACCOUNTS, request.send()).await?;
        members.extend(page.accounts().iter().filter(|a| is_active(a)).filter_map(|a| member(a, &session.partition)));
        pages.turn(page.next_token())?;
    }
    Ok(())
}

/// Closed and suspended accounts cannot be entered. `Status` is the field that `State` replaced.
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

/// All regions of the session's account, enabled or not, in the order of their names.
///
/// # Errors
/// They could not be listed.
pub(super) async fn regions(session: &Session) -> Result<Vec<AccountRegion>, Gap> {
    let request = ec2::Request::default().all_regions();
    let answer = session.send(DESCRIBE_REGIONS, session.ec2().describe_regions(request)).await?;
    let mut regions: Vec<_> = answer.items.iter().filter_map(account_region).collect();
    regions.sort_by(|a, b| a.region.cmp(&b.region));
    if regions.is_empty() {
        return Err(found::senseless(DESCRIBE_REGIONS, "AWS named no region"));
    }
    Ok(regions)
}

fn account_region(region: &ec2::Region) -> Option<AccountRegion> {
    let enabled = region.opt_in_status.as_deref() != Some("not-opted-in");
    Some(AccountRegion { region: region.name.as_ref()?.parse().ok()?, enabled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_and_its_partition_come_from_its_arn() {
        let arn = "arn:aws-us-gov:sts::123456789012:assumed-role/scanner/i-0abc";
        let account = caller(Some(arn), None).unwrap();
        assert_eq!((account.id.as_str(), account.partition.as_str()), ("123456789012", "aws-us-gov"));
        assert_eq!(caller(Some("nonsense"), Some("123456789012")), None);
    }

    #[test]
    fn listed_accounts_are_each_once_and_the_callers_is_first() {
        let own = caller(Some("arn:aws:iam::222222222222:root"), None).unwrap();
        let ids = ["111111111111", "222222222222", "111111111111"].map(|id| id.parse().unwrap());
        let found = listed(own, &ids).found;
        assert_eq!(found.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["222222222222", "111111111111"]);
    }

    #[test]
    fn only_active_accounts_are_scanned() {
        let account = || organizations::Account::builder().id("111111111111");
        assert!(is_active(&account().state(AccountState::Active).build()));
        assert!(is_active(&account().build()));
        for state in [AccountState::Suspended, AccountState::PendingClosure, AccountState::Closed] {
            assert!(!is_active(&account().state(state).build()));
        }
        let suspended = account().status(AccountStatus::Suspended).build();
        assert!(!is_active(&suspended));
    }

    #[test]
    fn a_region_that_is_not_opted_into_is_not_enabled() {
        let region = |status: &str| {
            let region = ec2::Region { name: Some("ap-east-1".to_owned()), opt_in_status: Some(status.to_owned()) };
            account_region(&region).unwrap().enabled
        };
        assert!(region("opted-in") && region("opt-in-not-required"));
        assert!(!region("not-opted-in"));
    }
}
