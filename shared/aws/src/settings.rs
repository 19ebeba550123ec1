//! Settings of the connection to AWS.

use std::time::Duration;

use tagledger_model::AccountId;

/// The role that is assumed in member accounts if no other role is configured.
pub const DEFAULT_ROLE_NAME: &str = "TagLedgerScanner";

/// The accounts to scan in addition to the caller's own account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MemberAccounts {
    /// No other accounts.
    #[default]
    None,
    /// The accounts with these IDs.
    Listed(Vec<AccountId>),
    /// All active accounts of the caller's organization.
    Organization,
}

/// The settings of the AWS client. Credentials, region, endpoint and proxy are settings of the SDK (`AWS_*`,
/// `HTTPS_PROXY`).
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// The accounts whose resources are listed.
    pub accounts: MemberAccounts,
    /// The payer account, whose costs are queried. `None` for the caller's own account.
    pub payer: Option<AccountId>,
    /// The role to assume in member accounts, with an optional path before the name. `None` for [`DEFAULT_ROLE_NAME`].
    pub role_name: Option<String>,
    /// The external ID that the trust policy of the role requires.
    pub external_id: Option<String>,
    /// The share of AWS's request rates to use in percent. Values are clamped to 1 to 100.
    pub rate_percent: u32,
    /// The timeout of one attempt of one request.
    pub attempt_timeout: Duration,
    /// The maximum number of attempts of one request. `AWS_MAX_ATTEMPTS` and the profile take precedence.
    pub max_attempts: u32,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            accounts: MemberAccounts::None,
            payer: None,
            role_name: None,
            external_id: None,
            rate_percent: 50,
            attempt_timeout: Duration::from_secs(30),
            max_attempts: 48,
        }
    }
}
