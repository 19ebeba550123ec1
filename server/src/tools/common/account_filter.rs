//! Limits a request to the accounts that its caller may read.

use tagledger_model::AccountId;

use crate::{
    auth::account_scope::{AccountScope, Accounts},
    error::ToolFailure,
    tools::common::arguments::Filters,
};

/// Limits `filters` to the accounts of the caller's key.
///
/// # Errors
///
/// When `filters` names another account.
pub(crate) fn limit_filters(
    filters: &mut Option<Filters>,
    scope: &AccountScope,
    accounts: &Accounts,
) -> Result<(), ToolFailure> {
    let filters = filters.get_or_insert_default();
    match &filters.account_id {
        Some(account) if !accounts.contains(account) => {
            let why = format!(
                "`filters.account_id`: this key is not for account {account}; it is for {}",
                join_ids(accounts)
            );
            Err(ToolFailure::Caller(why))
        }
        _ => {
            filters.scope = scope.clone();
            Ok(())
        }
    }
}

/// The error of a tool that describes the entire estate when the caller's key is for some accounts.
pub(crate) fn refuse_entire_estate(accounts: &Accounts) -> Result<(), ToolFailure> {
    let why = format!(
        "this tool describes the entire estate, and this key is for {} only; check_tag_compliance and \
        get_violation_history accept an account as a filter",
        join_ids(accounts)
    );
    Err(ToolFailure::Caller(why))
}

fn join_ids(accounts: &Accounts) -> String {
    let ids: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    format!("account{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "))
}

/// Implements [`crate::auth::account_scope::AccountBounded`] for the `Arguments` of a tool: by their argument `filters`, by their
/// internal field `scope`, or by refusal, for a tool whose answer describes the `entire_estate`.
macro_rules! limit_accounts {
    (filters) => {
        $crate::tools::common::account_filter::limit_accounts!(impl Filters, arguments, scope, accounts => {
            $crate::tools::common::account_filter::limit_filters(&mut arguments.filters, scope, accounts)
        });
    };
    (scope) => {
        $crate::tools::common::account_filter::limit_accounts!(impl Field, arguments, scope, _accounts => {
            arguments.scope = scope.clone();
            Ok(())
        });
    };
    (entire_estate) => {
        $crate::tools::common::account_filter::limit_accounts!(impl EntireEstate, _arguments, _scope, accounts => {
            $crate::tools::common::account_filter::refuse_entire_estate(accounts)
        });
    };
    (impl $kind:ident, $arguments:ident, $scope:ident, $accounts:ident => $how:expr) => {
        impl $crate::auth::account_scope::AccountBounded for Arguments {
            const RESTRICTION: $crate::auth::account_scope::AccountRestriction =
                $crate::auth::account_scope::AccountRestriction::$kind;

            fn restrict_to(
                &mut self,
                $scope: &$crate::auth::account_scope::AccountScope,
                $accounts: &$crate::auth::account_scope::Accounts,
            ) -> Result<(), $crate::error::ToolFailure> {
                let $arguments = self;
                $how
            }
        }
    };
}
pub(crate) use limit_accounts;
