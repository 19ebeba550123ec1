//! Organizations: the accounts, with at most 20 on a page. awsJson 1.1.

use serde_json::{Value, json};

use crate::{
    account_region::AccountRegion,
    errors::{self, ApiError},
    estate::AccountEstate,
    pagination::Paging,
    protocol::{Call, Outcome, Reply},
};

const MAX_PAGE_SIZE: usize = 20;

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "ListAccounts" => list_accounts(account_region, call),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn list_accounts(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if !account_region.estate.organization {
        let message = "Your account is not a member of an organization.";
        return Err(ApiError::new(400, "AWSOrganizationsNotInUseException", message));
    }
    if call.account != account_region.estate.home {
        return Err(errors::deny(call, "because the account is not the management account, for the"));
    }
    let invalid = || ApiError::new(400, "InvalidInputException", "You specified an invalid value.");
    let size = call.page_size("MaxResults", MAX_PAGE_SIZE, MAX_PAGE_SIZE).ok_or_else(invalid)?;
    let scope = call.scope("accounts");
    let paging = Paging { scope: &scope, token: call.field("NextToken"), size, effect: call.effect.as_ref() };
    let page = paging.page(account_region.estate.accounts.len()).ok_or_else(invalid)?;
    let listed = account_region.estate.accounts.get(page.range).unwrap_or_default();
    let accounts: Vec<Value> = listed.iter().map(|account| member(account_region, account)).collect();
    let items = accounts.len();
    let mut body = json!({"Accounts": accounts});
    if let (Some(token), Some(body)) = (page.next, body.as_object_mut()) {
        body.insert("NextToken".to_owned(), Value::String(token));
    }
    Ok(Reply { body: body.to_string(), items })
}

fn member(account_region: &AccountRegion<'_>, account: &AccountEstate) -> Value {
    let status = if account.suspended { "SUSPENDED" } else { "ACTIVE" };
    json!({
        "Id": account.id,
        "Arn": format!(
            "arn:{}:organizations::{}:account/o-fakefake00/{}",
            account_region.estate.partition, account_region.estate.home, account.id
        ),
        "Email": format!("{}@example.com", account.id),
        "Name": account.name,
        "Status": status,
        "State": status,
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": account_region.estate.created_from,
    })
}
