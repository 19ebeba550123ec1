//! Lambda: functions, with at most 50 on a page, and their tags. REST with JSON.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::{
    account_region::{AccountRegion, Kind},
    errors::ApiError,
    pagination::Paging,
    protocol::{Call, Outcome, Reply},
};

const MAX_PAGE_SIZE: usize = 50;
const FUNCTIONS: &str = "/2015-03-31/functions";
const TAGS: &str = "/2017-03-31/tags/";

/// Returns the operation of a request. `None` if the fake does not implement it.
pub(crate) fn operation(method: &Method, path: &str) -> Option<String> {
    let name = match *method {
        Method::GET if path.trim_end_matches('/') == FUNCTIONS => "ListFunctions",
        Method::GET if path.starts_with(TAGS) => "ListTags",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "ListFunctions" => list_functions(account_region, call),
        "ListTags" => list_tags(account_region, call),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValueException", message)
}

fn list_functions(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if call.param("FunctionVersion").is_some() {
        return Err(ApiError::unsupported(call));
    }
    let requested = call.number("MaxItems").map_err(invalid)?.unwrap_or(MAX_PAGE_SIZE);
    if !(1..=10_000).contains(&requested) {
        return Err(invalid(format!(
            "Value ({requested}) for parameter MaxItems is invalid. It must be between 1 and 10000"
        )));
    }
    let scope = call.scope("functions");
    let size = requested.min(MAX_PAGE_SIZE);
    let paging = Paging { scope: &scope, token: call.param("Marker"), size, effect: call.effect.as_ref() };
    let page = paging.page(account_region.count(Kind::Function)).ok_or_else(|| invalid("Invalid marker"))?;
    let functions: Vec<Value> = page.range.map(|index| function(account_region, index)).collect();
    let items = functions.len();
    Ok(Reply { body: json!({"Functions": functions, "NextMarker": page.next}).to_string(), items })
}

fn function(account_region: &AccountRegion<'_>, index: usize) -> Value {
    json!({
        "FunctionName": account_region.id(Kind::Function, index),
        "FunctionArn": account_region.arn(Kind::Function, index),
        "Runtime": "python3.13",
        "Role": format!("arn:{}:iam::{}:role/function", account_region.estate.partition, account_region.account.id),
        "Handler": "main.handler",
        "CodeSize": 1024,
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": account_region.created(index).replace('Z', ".000+0000"),
        "Version": "$LATEST",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "Description": "Reads orders from the queue, checks the stock, and forwards them.",
        "CodeSha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "VpcConfig": {
            "SubnetIds": ["subnet-00000000000000001", "subnet-00000000000000002"],
            "SecurityGroupIds": ["sg-0a1b2c3d4e5f60718"],
            "VpcId": "vpc-00000000000000001",
            "Ipv6AllowedForDualStack": false,
        },
        "Environment": {"Variables": {"LOG_LEVEL": "info", "TABLE": "orders", "QUEUE": "orders-in"}},
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": "6f6d6c7e-1f6a-4a0a-8f38-1d2c3b4a5f60",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/orders"},
    })
}

fn list_tags(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let arn = call.path.strip_prefix(TAGS).unwrap_or_default();
    if arn.split(':').count() != 7 {
        return Err(invalid("Tags on function aliases and versions are not supported. Please specify a function ARN."));
    }
    let found = account_region
        .find_arn(arn)
        .filter(|(kind, index)| *kind == Kind::Function && *index < account_region.count(*kind));
    let missing = || ApiError::new(404, "ResourceNotFoundException", format!("Function not found: {arn}"));
    let (kind, index) = found.ok_or_else(missing)?;
    let tags: Map<String, Value> =
        account_region.tags(kind, index).into_iter().map(|(k, v)| (k, Value::String(v))).collect();
    let items = tags.len();
    Ok(Reply { body: json!({"Tags": tags}).to_string(), items })
}
