//! The caller of a request.

use std::collections::BTreeSet;

use http::request::Parts;
use rmcp::{ErrorData, RoleServer, model::Extensions, service::RequestContext};
use tagledger_http::{AuthMethod, Principal, Scope};

/// Whoever asks for what stands in the ledger.
pub(crate) fn may_read(context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
    let caller = caller(&context.extensions);
    if caller.may(Scope::Read) {
        return Ok(caller);
    }
    Err(ErrorData::invalid_request("this key may not be used for that: it lacks the scope `read`", None))
}

/// Who sent a request: over HTTP whoever the door has let in, else whoever started the process.
pub(crate) fn caller(extensions: &Extensions) -> Principal {
    let known = extensions.get::<Parts>().map(|parts| parts.extensions.get::<Principal>().cloned());
    match known {
        None => Principal::local(),
        Some(Some(caller)) => caller,
        // Nothing comes here past the door; what did would be nobody.
        Some(None) => {
            Principal { id: "nobody".to_owned(), by: AuthMethod::Key, scopes: BTreeSet::new(), accounts: None }
        }
    }
}
