//! The accounts that a caller may ask about, kept to in every tool.

use std::{collections::BTreeSet, sync::Arc};

use tagledger_http::Principal;
use tagledger_ledger::Filter;
use tagledger_model::AccountId;

use crate::error::ToolFailure;

/// Accounts that a key is for.
pub(crate) type Accounts = BTreeSet<AccountId>;

/// Some accounts; all where there is no set.
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

/// Arguments of a tool, which each says how it is kept to some accounts. None can be read without ([`crate::auth::account_scope::AccountScope::keep`]).
pub(crate) trait AccountBounded: Sized {
    /// How the tool limits its answer.
    const RESTRICTION: AccountRestriction;

    /// Narrows the question to these accounts.
    ///
    /// # Errors
    ///
    /// When it names another, or is about the estate as a whole.
    fn bound(&mut self, reach: &AccountScope, accounts: &Accounts) -> Result<(), ToolFailure>;
}

impl AccountScope {
    /// As a caller's key says.
    pub(crate) fn of(caller: &Principal) -> Self {
        Self(caller.accounts.clone().map(Arc::new))
    }

    /// Keeps a question to it.
    pub(crate) fn keep<T: AccountBounded>(&self, mut arguments: T) -> Result<T, ToolFailure> {
        if let Some(accounts) = &self.0 {
            arguments.bound(self, accounts)?;
        }
        Ok(arguments)
    }

    /// Whether an account is among them.
    pub(crate) fn has(&self, account: &AccountId) -> bool {
        self.0.as_ref().is_none_or(|accounts| accounts.contains(account))
    }

    /// Whether it is the whole estate.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// What all of it is.
    pub(crate) fn filter(&self) -> Filter {
        Filter { accounts: self.0.iter().flat_map(|accounts| accounts.iter().cloned()).collect(), ..Filter::default() }
    }
}
