//! The AWS protocols: requests are parsed to a [`Call`], and helpers build XML and JSON responses.

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::{errors::ApiError, estate::Estate, faults::Effect};

/// The services that the fake knows.
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
    fn of(signing_name: &str) -> Self {
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

    /// Services whose calls a region that is not enabled refuses.
    pub(crate) fn regional(self) -> bool {
        !matches!(self, Self::CostExplorer | Self::Organizations | Self::Sts | Self::Other)
    }
}

/// One request, read.
pub(crate) struct Call {
    pub(crate) service: Service,
    /// The name that the request was signed with; tells [`Service::Other`] apart.
    pub(crate) signing_name: String,
    pub(crate) operation: String,
    pub(crate) account: String,
    /// The partition of the caller.
    pub(crate) partition: String,
    pub(crate) region: String,
    /// The role that the credentials were assumed for.
    pub(crate) assumed: bool,
    /// Percent-decoded.
    pub(crate) path: String,
    /// Of the query string and of a form body.
    pub(crate) params: Vec<(String, String)>,
    /// The JSON body; null where there is none.
    pub(crate) json: Value,
    pub(crate) bucket_owner: Option<String>,
    /// The fault that hit the call, for effects that change a right answer.
    pub(crate) effect: Option<Effect>,
    /// Path, query and body, for rules about a resource.
    pub(crate) text: String,
}

/// A right answer: the document, and how many items it holds.
pub(crate) struct Reply {
    pub(crate) body: String,
    pub(crate) items: usize,
}

/// What a service answers.
pub(crate) type Outcome = Result<Reply, ApiError>;

const ROLE_KEY: &str = "ASIAFAKE";

/// The access key id of a role of the account.
pub(crate) fn role_key(account: &str) -> String {
    format!("{ROLE_KEY}{account}")
}

impl Call {
    /// Reads a request; the error is AWS's answer to one that is not signed.
    pub(crate) fn read(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &str,
        estate: &Estate,
    ) -> Result<Self, ApiError> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (key, region, signing_name) = scope(header("authorization"))
            .ok_or_else(|| ApiError::new(403, "MissingAuthenticationToken", "Missing Authentication Token"))?;
        let role = key.strip_prefix(ROLE_KEY);
        let form = header("content-type").starts_with("application/x-www-form-urlencoded");
        let mut params = pairs(uri.query().unwrap_or_default());
        params.extend(if form { pairs(body) } else { Vec::new() });
        let path = decode(uri.path(), false);
        let bucket_owner = headers.get("x-amz-expected-bucket-owner").and_then(|value| value.to_str().ok());
        let mut call = Self {
            service: Service::of(signing_name),
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

    /// The values of a numbered list: `InstanceId.1`, `InstanceId.2`, ...
    pub(crate) fn param_list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|n| self.param(&format!("{name}.{n}"))).collect()
    }

    /// A whole number among the parameters; the error says which was none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("Value ({text}) for parameter {name} is invalid."));
        self.param(name).map(parse).transpose()
    }

    /// A text field of the JSON body.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Value::as_str)
    }

    /// A list of texts in the JSON body; `None` when the field is absent.
    pub(crate) fn field_list(&self, name: &str) -> Option<Vec<&str>> {
        self.json.get(name).and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_str).collect())
    }

    /// A number in the JSON body, or `default` where it is absent; `None` outside `1..=max`.
    pub(crate) fn page_size(&self, name: &str, default: usize, max: usize) -> Option<usize> {
        let Some(given) = self.json.get(name).filter(|value| !value.is_null()) else { return Some(default) };
        given.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=max).contains(n))
    }

    /// Whether an EC2 call asks for a page or a selection, which the larger bucket serves.
    pub(crate) fn paged_or_filtered(&self) -> bool {
        self.params.iter().any(|(key, _)| key == "MaxResults" || key == "NextToken" || key.starts_with("Filter."))
    }

    /// The IAM action: `ec2:DescribeInstances`.
    pub(crate) fn action(&self) -> String {
        let service = if self.service == Service::Tagging { "tag" } else { self.signing_name.as_str() };
        let operation = if self.operation == "ListBuckets" { "ListAllMyBuckets" } else { self.operation.as_str() };
        format!("{service}:{operation}")
    }

    /// Who calls.
    pub(crate) fn caller_arn(&self) -> String {
        let Self { partition, account, .. } = self;
        match self.assumed {
            true => format!("arn:{partition}:sts::{account}:assumed-role/TagLedgerScan/scan"),
            false => format!("arn:{partition}:iam::{account}:user/scanner"),
        }
    }

    /// What tokens of this list are tied to.
    pub(crate) fn scope(&self, list: &str) -> String {
        format!("{}/{}/{}/{list}", self.account, self.region, self.action())
    }
}

/// Access key, region and service of a SigV4 `Authorization` header.
fn scope(authorization: &str) -> Option<(&str, &str, &str)> {
    let (_, credential) = authorization.split_once("Credential=")?;
    let mut parts = credential.split(',').next()?.split('/');
    let (key, _date, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((key, region, service))
}

fn operation(call: &Call, method: &Method, target: &str) -> String {
    let known = match call.service {
        Service::S3 => crate::s3::operation(method, &call.path, &call.params),
        Service::Lambda => crate::lambda::operation(method, &call.path),
        _ => target.rsplit_once('.').map(|(_, name)| name.to_owned()).or_else(|| call.param("Action").map(Into::into)),
    };
    known.unwrap_or_else(|| format!("{method} {}", call.path))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(k, v)| (decode(k, true), decode(v, true)))
        .collect()
}

/// Percent-decodes; a `+` is a blank only in queries and forms.
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

/// Text as it stands between XML tags.
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

/// A list of tags in XML, with the element names that the service uses.
pub(crate) fn xml_tags(tags: &[(String, String)], item: &str, key: &str, value: &str) -> String {
    let mut out = String::new();
    for (k, v) in tags {
        // Writing to a string cannot fail.
        write!(out, "<{item}><{key}>{}</{key}><{value}>{}</{value}></{item}>", escape(k), escape(v)).ok();
    }
    out
}

/// An optional element.
pub(crate) fn optional(name: &str, text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("<{name}>{}</{name}>", escape(text)))
}

/// A list of tags in JSON, with the member names that the service uses.
pub(crate) fn json_tags(tags: Vec<(String, String)>, key: &str, value: &str) -> Value {
    let object = |(k, v)| {
        Value::Object([(key.to_owned(), Value::String(k)), (value.to_owned(), Value::String(v))].into_iter().collect())
    };
    Value::Array(tags.into_iter().map(object).collect())
}
