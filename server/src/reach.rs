//! The accounts that a caller may ask about, kept to in every tool.

use std::{collections::BTreeSet, sync::Arc};

use gate::{By, Caller, Scope};
use http::request::Parts;
use rmcp::model::Extensions;
use shared::{AccountId, store::Filter};

use crate::tools::{LIVE, ToolFailure, arguments::Filters};

/// Accounts that a key is for.
pub(crate) type Accounts = BTreeSet<AccountId>;

/// Some accounts; all where there is no set.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reach(Option<Arc<Accounts>>);

/// Arguments of a tool, which each says how it is kept to some accounts. None can be read without ([`Reach::keep`]).
pub(crate) trait Bounded: Sized {
    /// Narrows the question to these accounts.
    ///
    /// # Errors
    ///
    /// When it names another, or is about the estate as a whole.
    fn bound(&mut self, reach: &Reach, accounts: &Accounts) -> Result<(), ToolFailure>;
}

impl Reach {
    /// As a caller's key says.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self(caller.accounts.clone().map(Arc::new))
    }

    /// Keeps a question to it.
    pub(crate) fn keep<T: Bounded>(&self, mut arguments: T) -> Result<T, ToolFailure> {
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

/// Says how a tool's `Arguments` are kept to some accounts: by their `filters`, by a field `within` that no client writes, or
/// not at all, for they are about the `whole` estate.
macro_rules! bounded {
    (filters) => {
        $crate::reach::bounded!(impl arguments, reach, accounts => {
            $crate::reach::bound_filters(&mut arguments.filters, reach, accounts)
        });
    };
    (within) => {
        $crate::reach::bounded!(impl arguments, reach, _accounts => {
            arguments.within = reach.clone();
            Ok(())
        });
    };
    (whole) => {
        $crate::reach::bounded!(impl _arguments, _reach, accounts => $crate::reach::whole_estate(accounts));
    };
    (impl $arguments:ident, $reach:ident, $accounts:ident => $how:expr) => {
        impl $crate::reach::Bounded for Arguments {
            fn bound(
                &mut self,
                $reach: &$crate::reach::Reach,
                $accounts: &$crate::reach::Accounts,
            ) -> Result<(), $crate::tools::ToolFailure> {
                let $arguments = self;
                $how
            }
        }
    };
}
pub(crate) use bounded;

/// For tools that have filters.
pub(crate) fn bound_filters(
    filters: &mut Option<Filters>,
    reach: &Reach,
    accounts: &Accounts,
) -> Result<(), ToolFailure> {
    let filters = filters.get_or_insert_default();
    match &filters.account_id {
        Some(account) if !accounts.contains(account) => {
            let why =
                format!("`filters.account_id`: this key is not for account {account}, but for {}", listed(accounts));
            Err(ToolFailure::Caller(why))
        }
        _ => {
            filters.within = reach.clone();
            Ok(())
        }
    }
}

/// For tools that are about the estate as a whole.
pub(crate) fn whole_estate(accounts: &Accounts) -> Result<(), ToolFailure> {
    let why = format!(
        "this tool is about the estate as a whole, and this key is for {} only; check_tag_compliance and \
        get_violation_history can be asked about an account",
        listed(accounts)
    );
    Err(ToolFailure::Caller(why))
}

fn listed(accounts: &Accounts) -> String {
    let ids: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    format!("account{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "))
}

/// Who sent a request: over HTTP whoever the door has let in, else whoever started the process.
pub(crate) fn caller(extensions: &Extensions) -> Caller {
    let known = extensions.get::<Parts>().map(|parts| parts.extensions.get::<Caller>().cloned());
    match known {
        None => Caller::local(),
        Some(Some(caller)) => caller,
        // Nothing comes here past the door; what did would be nobody.
        Some(None) => Caller { id: "nobody".to_owned(), by: By::Key, scopes: BTreeSet::new(), accounts: None },
    }
}

/// The scope that a tool needs.
pub(crate) fn needed(tool: &str) -> Scope {
    if LIVE.contains(&tool) { Scope::Live } else { Scope::Read }
}
