//! The accounts that a caller has access to. Every tool restricts its answer to them.

use std::{collections::BTreeSet, sync::Arc};

use tagledger_http::Principal;
use tagledger_ledger::Filter;
use tagledger_model::AccountId;

use crate::error::ToolFailure;

/// The accounts that a key has access to.
pub(crate) type Accounts = BTreeSet<AccountId>;

/// The accounts that a caller has access to; all accounts when there is no set.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountScope(Option<Arc<Accounts>>);

/// How a tool limits its answer to the accounts of the caller's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountRestriction {
    /// By its argument `filters`. An account outside the key's accounts is an error.
    Filters,
    /// By an internal field of its arguments. Data of other accounts is left out.
    Field,
    /// Not at all: the answer describes the entire estate. A key for some accounts cannot call the tool.
    EntireEstate,
}

/// Arguments of a tool, which each says how it is kept to some accounts. None can be read without ([`crate::auth::account_scope::AccountScope::restrict`]).
pub(crate) trait AccountBounded: Sized {
    /// How the tool limits its answer.
    const RESTRICTION: AccountRestriction;

    /// Restricts the arguments to these accounts. `scope` has the same accounts.
    ///
    /// # Errors
    ///
    /// When the arguments name another account, or the tool answers only for the entire estate.
    fn restrict_to(&mut self, scope: &AccountScope, accounts: &Accounts) -> Result<(), ToolFailure>;
}

impl AccountScope {
    /// The accounts of a caller.
    pub(crate) fn from_principal(caller: &Principal) -> Self {
        Self(caller.accounts.clone().map(Arc::new))
    }

    /// Restricts the arguments of a tool to these accounts.
    ///
    /// # Errors
    ///
    /// As [`AccountBounded::restrict_to`].
    pub(crate) fn restrict<T: AccountBounded>(&self, mut arguments: T) -> Result<T, ToolFailure> {
        if let Some(accounts) = &self.0 {
            arguments.restrict_to(self, accounts)?;
        }
        Ok(arguments)
    }

    /// Whether the caller has access to an account.
    pub(crate) fn contains(&self, account: &AccountId) -> bool {
        self.0.as_ref().is_none_or(|accounts| accounts.contains(account))
    }

    /// Whether the caller has access to all accounts.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.0.is_none()
    }

    /// The filter for the resources of these accounts.
    pub(crate) fn filter(&self) -> Filter {
        Filter { accounts: self.0.iter().flat_map(|accounts| accounts.iter().cloned()).collect(), ..Filter::default() }
    }
}
