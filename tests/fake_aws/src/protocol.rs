//! The AWS protocols: requests are parsed to a [`Call`], and helpers build XML and JSON responses.

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::{errors::ApiError, estate::Estate, faults::Effect};

/// The services that the fake implements. `Other` stands for all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    CloudTrail,
    CostExplorer,
    Ec2,
    Ecs,
    Lambda,
    Organizations,
    Rds,
    S3,
    Sts,
    Tagging,
    Other,
}

impl Service {
    fn from_signing_name(signing_name: &str) -> Self {
        match signing_name {
            "cloudtrail" => Self::CloudTrail,
            "ce" => Self::CostExplorer,
            "ec2" => Self::Ec2,
            "ecs" => Self::Ecs,
            "lambda" => Self::Lambda,
            "organizations" => Self::Organizations,
            "rds" => Self::Rds,
            "s3" => Self::S3,
            "sts" => Self::Sts,
            "tagging" => Self::Tagging,
            _ => Self::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail",
            Self::CostExplorer => "ce",
            Self::Ec2 => "ec2",
            Self::Ecs => "ecs",
            Self::Lambda => "lambda",
            Self::Organizations => "organizations",
            Self::Rds => "rds",
            Self::S3 => "s3",
            Self::Sts => "sts",
            Self::Tagging => "tagging",
            Self::Other => "other",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Ec2 => "text/xml;charset=UTF-8",
            Self::Rds | Self::Sts => "text/xml",
            Self::S3 => "application/xml",
            Self::Lambda => "application/json",
            Self::CloudTrail | Self::CostExplorer | Self::Ecs | Self::Organizations | Self::Tagging | Self::Other => {
                "application/x-amz-json-1.1"
            }
        }
    }

    /// Whether the calls of the service are rejected in regions that are not enabled.
    pub(crate) fn is_regional(self) -> bool {
        !matches!(self, Self::CostExplorer | Self::Organizations | Self::Sts | Self::Other)
    }
}

/// A parsed request.
pub(crate) struct Call {
    pub(crate) service: Service,
    /// The service name in the signature, which also identifies the service of [`Service::Other`].
    pub(crate) signing_name: String,
    pub(crate) operation: String,
    pub(crate) account: String,
    /// The partition of the caller.
    pub(crate) partition: String,
    pub(crate) region: String,
    /// Whether the credentials are those of an assumed role.
    pub(crate) assumed: bool,
    /// The percent-decoded path.
    pub(crate) path: String,
    /// The parameters of the query string and of a form body.
    pub(crate) params: Vec<(String, String)>,
    /// The JSON body, or null if the body is not JSON.
    pub(crate) json: Value,
    pub(crate) bucket_owner: Option<String>,
    /// The injected fault, for effects that change a successful response.
    pub(crate) effect: Option<Effect>,
    /// The decoded path, query and body. Fault rules search a resource in it.
    pub(crate) text: String,
}

/// A successful response: the document and the number of its items.
pub(crate) struct Reply {
    pub(crate) body: String,
    pub(crate) items: usize,
}

/// The result of a call.
pub(crate) type Outcome = Result<Reply, ApiError>;

const ROLE_KEY: &str = "ASIAFAKE";

/// Returns the access key ID of a role in the account.
pub(crate) fn role_key(account: &str) -> String {
    format!("{ROLE_KEY}{account}")
}

impl Call {
    /// Parses a request.
    ///
    /// # Errors
    /// The error of AWS for a request without a signature.
    pub(crate) fn parse(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &str,
        estate: &Estate,
    ) -> Result<Self, ApiError> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (key, region, signing_name) = credential_scope(header("authorization"))
            .ok_or_else(|| ApiError::new(403, "MissingAuthenticationToken", "Missing Authentication Token"))?;
        let role = key.strip_prefix(ROLE_KEY);
        let form = header("content-type").starts_with("application/x-www-form-urlencoded");
        let mut params = parse_pairs(uri.query().unwrap_or_default());
        params.extend(if form { parse_pairs(body) } else { Vec::new() });
        let path = decode(uri.path(), false);
        let bucket_owner = headers.get("x-amz-expected-bucket-owner").and_then(|value| value.to_str().ok());
        let mut call = Self {
            service: Service::from_signing_name(signing_name),
            signing_name: signing_name.to_owned(),
            operation: String::new(),
            account: role.unwrap_or(&estate.home).to_owned(),
            partition: estate.partition.clone(),
            region: region.to_owned(),
            assumed: role.is_some(),
            text: format!("{path} {} {}", decode(uri.query().unwrap_or_default(), true), decode(body, true)),
            path,
            params,
            json: serde_json::from_str(body).unwrap_or(Value::Null),
            bucket_owner: bucket_owner.map(ToOwned::to_owned),
            effect: None,
        };
        call.operation = operation(&call, method, header("x-amz-target"));
        Ok(call)
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the values of a numbered list: `InstanceId.1`, `InstanceId.2`, and so on.
    pub(crate) fn param_list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|n| self.param(&format!("{name}.{n}"))).collect()
    }

    /// Returns an integer parameter. The error message names the parameter and its invalid value.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("Value ({text}) for parameter {name} is invalid."));
        self.param(name).map(parse).transpose()
    }

    /// Returns a string field of the JSON body.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Value::as_str)
    }

    /// Returns a list of strings in the JSON body. `None` if the field is absent.
    pub(crate) fn field_list(&self, name: &str) -> Option<Vec<&str>> {
        self.json.get(name).and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_str).collect())
    }

    /// Returns a number in the JSON body, or `default` if it is absent. `None` if it is not in `1..=max`.
    pub(crate) fn page_size(&self, name: &str, default: usize, max: usize) -> Option<usize> {
        let Some(given) = self.json.get(name).filter(|value| !value.is_null()) else { return Some(default) };
        given.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=max).contains(n))
    }

    /// Whether an EC2 call has pagination or filters. Such calls have a larger token bucket.
    pub(crate) fn is_paged_or_filtered(&self) -> bool {
        self.params.iter().any(|(key, _)| key == "MaxResults" || key == "NextToken" || key.starts_with("Filter."))
    }

    /// Returns the IAM action, such as `ec2:DescribeInstances`.
    pub(crate) fn action(&self) -> String {
        let service = if self.service == Service::Tagging { "tag" } else { self.signing_name.as_str() };
        let operation = if self.operation == "ListBuckets" { "ListAllMyBuckets" } else { self.operation.as_str() };
        format!("{service}:{operation}")
    }

    /// Returns the ARN of the caller.
    pub(crate) fn caller_arn(&self) -> String {
        let Self { partition, account, .. } = self;
        match self.assumed {
            true => format!("arn:{partition}:sts::{account}:assumed-role/TagLedgerScan/scan"),
            false => format!("arn:{partition}:iam::{account}:user/scanner"),
        }
    }

    /// Returns the scope of the page tokens of a list.
    pub(crate) fn scope(&self, list: &str) -> String {
        format!("{}/{}/{}/{list}", self.account, self.region, self.action())
    }
}

/// Returns the access key, region and service of a SigV4 `Authorization` header.
fn credential_scope(authorization: &str) -> Option<(&str, &str, &str)> {
    let (_, credential) = authorization.split_once("Credential=")?;
    let mut parts = credential.split(',').next()?.split('/');
    let (key, _date, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((key, region, service))
}

fn operation(call: &Call, method: &Method, target: &str) -> String {
    let supported = match call.service {
        Service::S3 => crate::s3::operation(method, &call.path, &call.params),
        Service::Lambda => crate::lambda::operation(method, &call.path),
        _ => target.rsplit_once('.').map(|(_, name)| name.to_owned()).or_else(|| call.param("Action").map(Into::into)),
    };
    supported.unwrap_or_else(|| format!("{method} {}", call.path))
}

fn parse_pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(k, v)| (decode(k, true), decode(v, true)))
        .collect()
}

/// Decodes percent-encoded text. A `+` is a space only in queries and forms.
fn decode(text: &str, form: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, hex_byte(tail)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) if form => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// Escapes text for XML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
    out
}

/// Renders tags as XML with the element names of the service.
pub(crate) fn xml_tags(tags: &[(String, String)], item: &str, key: &str, value: &str) -> String {
    let mut out = String::new();
    for (k, v) in tags {
        // Writing to a string cannot fail.
        write!(out, "<{item}><{key}>{}</{key}><{value}>{}</{value}></{item}>", escape(k), escape(v)).ok();
    }
    out
}

/// Renders an XML element, or nothing if there is no text.
pub(crate) fn optional(name: &str, text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("<{name}>{}</{name}>", escape(text)))
}

/// Renders tags as JSON with the field names of the service.
pub(crate) fn json_tags(tags: Vec<(String, String)>, key: &str, value: &str) -> Value {
    let object = |(k, v)| {
        Value::Object([(key.to_owned(), Value::String(k)), (value.to_owned(), Value::String(v))].into_iter().collect())
    };
    Value::Array(tags.into_iter().map(object).collect())
}
