//! STS: the caller identity and role assumption. Query protocol.

use crate::{
    account_region::AccountRegion,
    errors::{self, ApiError},
    protocol::{Call, Outcome, Reply, escape, role_key},
};

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "GetCallerIdentity" => Ok(caller_identity(call)),
        "AssumeRole" => assume_role(account_region, call),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn caller_identity(call: &Call) -> Reply {
    let arn = escape(&call.caller_arn());
    let account = escape(&call.account);
    let result = format!("<Arn>{arn}</Arn><UserId>AIDAFAKEFAKEFAKEFAKE</UserId><Account>{account}</Account>");
    Reply { body: document("GetCallerIdentity", &result), items: 1 }
}

fn assume_role(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let arn = call.param("RoleArn").unwrap_or_default();
    let session = call.param("RoleSessionName").unwrap_or_default();
    let Some((account, role)) = parse_role_arn(&account_region.estate.partition, arn).filter(|_| !session.is_empty())
    else {
        return Err(ApiError::new(
            400,
            "ValidationError",
            "RoleArn and RoleSessionName must be given and well-formed.",
        ));
    };
    if !is_trusted(account_region, call, account, role) {
        let message =
            format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", call.caller_arn());
        return Err(ApiError::new(403, "AccessDenied", message));
    }
    let result = format!(
        "<AssumedRoleUser><AssumedRoleId>AROAFAKEFAKEFAKEFAKE:{session}</AssumedRoleId>\
         <Arn>arn:{partition}:sts::{account}:assumed-role/{role}/{session}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>fake</SecretAccessKey>\
         <SessionToken>fake-session-of-{account}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
        role_key(account),
        partition = account_region.estate.partition,
        session = escape(session),
        role = escape(role),
    );
    Ok(Reply { body: document("AssumeRole", &result), items: 1 })
}

fn parse_role_arn<'a>(partition: &str, arn: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = arn.strip_prefix("arn:")?.strip_prefix(partition)?.strip_prefix(":iam::")?;
    let (account, role) = rest.split_once(":role/")?;
    Some((account, role.rsplit('/').next()?))
}

/// Whether the role can be assumed. The home account has no role, because AWS Organizations creates none in the management
/// account.
fn is_trusted(account_region: &AccountRegion<'_>, call: &Call, account: &str, role: &str) -> bool {
    let estate = account_region.estate;
    let member = estate.accounts.iter().any(|a| a.id == account && !a.suspended && a.id != estate.home);
    let is_role_trusted = estate.trust.role_name.as_deref().is_none_or(|name| name == role);
    let is_external_id_valid =
        estate.trust.external_id.as_deref().is_none_or(|id| call.param("ExternalId") == Some(id));
    member && is_role_trusted && is_external_id_valid && call.account == estate.home
}

fn document(operation: &str, result: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        errors::REQUEST_ID
    )
}
