//! The caller of a request.

use std::collections::BTreeSet;

use http::request::Parts;
use rmcp::{ErrorData, RoleServer, model::Extensions, service::RequestContext};
use tagledger_http::{AuthMethod, Principal, Scope};

/// The caller, if it has the scope `read`.
///
/// # Errors
///
/// When it does not.
pub(crate) fn require_read(context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
    let caller = identify_caller(&context.extensions);
    if caller.may(Scope::Read) {
        return Ok(caller);
    }
    Err(ErrorData::invalid_request("this key may not be used for that: it lacks the scope `read`", None))
}

/// The principal that the request guard has authenticated. Over stdio it is the local user.
pub(crate) fn identify_caller(extensions: &Extensions) -> Principal {
    match extensions.get::<Parts>() {
        None => Principal::local(),
        // The request guard sets the principal of each request. A request without one gets no scope.
        Some(parts) => parts.extensions.get::<Principal>().cloned().unwrap_or_else(|| Principal {
            id: "nobody".to_owned(),
            by: AuthMethod::Key,
            scopes: BTreeSet::new(),
            accounts: None,
        }),
    }
}
