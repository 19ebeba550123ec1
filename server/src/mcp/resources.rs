//! The MCP resources, which a client can attach to a conversation without calling a tool.

pub(crate) mod latest_snapshot;
pub(crate) mod resource;

use percent_encoding::percent_decode_str;
use rmcp::{
    ErrorData,
    model::{
        CacheScope, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate,
    },
};
use serde::Serialize;
use serde_json::json;
use tagledger_model::resource_ref::ResourceRef;

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    mcp::{schema::find_output_schema, tool_names::tool_names},
    tools::{policy::get_tagging_policy, report::generate_compliance_report},
};

/// The newest snapshot: the only resource that clients can subscribe to.
pub(crate) const LATEST_SNAPSHOT_URI: &str = "tagledger://snapshot/newest";

const JSON: &str = "application/json";

const JSON_SCHEMA: &str = "application/schema+json";

const MARKDOWN: &str = "text/markdown";

const POLICY_URI: &str = "tagledger://policy";

const LATEST_REPORT_URI: &str = "tagledger://report/newest";

const REPORT_PREFIX: &str = "tagledger://report/";

const RESOURCE_PREFIX: &str = "tagledger://resource/";

const SCHEMA_PREFIX: &str = "tagledger://schema/";

/// The URI templates. [`crate::mcp::completions`] completes their variables.
pub(crate) const REPORT_TEMPLATE: &str = "tagledger://report/{date}";

pub(crate) const RESOURCE_TEMPLATE: &str = "tagledger://resource/{+arn}";

pub(crate) const SCHEMA_TEMPLATE: &str = "tagledger://schema/{tool}";

pub(crate) fn list() -> ListResourcesResult {
    let newest = Resource::new(LATEST_SNAPSHOT_URI, "newest snapshot")
        .with_title("Newest snapshot")
        .with_description(
            "Score, counts and coverage of the newest snapshot. Subscribe to be notified of each new snapshot.",
        )
        .with_mime_type(JSON);
    let policy = Resource::new(POLICY_URI, "tagging policy")
        .with_title("Tagging policy")
        .with_description("The policy in force: required and optional tags, allowed values, patterns, exemptions.")
        .with_mime_type(JSON);
    let report = Resource::new(LATEST_REPORT_URI, "compliance report")
        .with_title("Compliance report")
        .with_description("The compliance report of the newest snapshot, one page of Markdown.")
        .with_mime_type(MARKDOWN);
    ListResourcesResult::with_all_items(vec![newest, policy, report])
}

pub(crate) fn templates() -> ListResourceTemplatesResult {
    let report = ResourceTemplate::new(REPORT_TEMPLATE, "compliance report of a day")
        .with_title("Compliance report of a day")
        .with_description("The compliance report as of the end of a day (UTC), such as 2026-10-31.")
        .with_mime_type(MARKDOWN);
    let resource = ResourceTemplate::new(RESOURCE_TEMPLATE, "resource")
        .with_title("A resource")
        .with_description("One resource in the newest snapshot: tags, findings, cost, creator.")
        .with_mime_type(JSON);
    let schema = ResourceTemplate::new(SCHEMA_TEMPLATE, "schema of answers")
        .with_title("Schema of a tool's answers")
        .with_description(
            "The full JSON schema of the answers of a tool, for programs. The list of tools contains an outline of it.",
        )
        .with_mime_type(JSON_SCHEMA);
    ListResourceTemplatesResult::with_all_items(vec![report, resource, schema])
}

/// Why a resource cannot be read.
enum ReadError {
    NotFound(String),
    Failed(ToolFailure),
}

impl From<ToolFailure> for ReadError {
    fn from(failure: ToolFailure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads one resource.
pub(crate) fn read(state: &AppState, uri: &str, scope: &AccountScope) -> Result<ReadResourceResult, ErrorData> {
    let (text, kind) = match read_text(state, uri, scope) {
        Ok(read) => read,
        Err(ReadError::NotFound(reason)) => {
            return Err(ErrorData::resource_not_found(reason, Some(json!({ "uri": uri }))));
        }
        Err(ReadError::Failed(ToolFailure::Caller(reason))) if uri == LATEST_SNAPSHOT_URI => {
            (json!({ "snapshot": null, "note": reason }).to_string(), JSON)
        }
        Err(ReadError::Failed(ToolFailure::Caller(reason))) => return Err(ErrorData::invalid_params(reason, None)),
        Err(ReadError::Failed(ToolFailure::Internal)) => {
            return Err(ErrorData::internal_error("the ledger cannot be read; the server's log says why", None));
        }
        Err(ReadError::Failed(ToolFailure::Timeout(reason))) => return Err(ErrorData::internal_error(reason, None)),
    };
    let mut result = ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(kind)]);
    // A client without a subscription must read the resource again.
    result.ttl_ms = Some(0);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result)
}

/// The number of bytes of the text.
pub(crate) fn count_bytes(read: &ReadResourceResult) -> usize {
    let text = |contents: &ResourceContents| match contents {
        ResourceContents::TextResourceContents { text, .. } => text.len(),
        _ => 0,
    };
    read.contents.iter().map(text).sum()
}

fn read_text(state: &AppState, uri: &str, scope: &AccountScope) -> Result<(String, &'static str), ReadError> {
    if uri == LATEST_SNAPSHOT_URI {
        let answer = state.read_latest(|view, snapshot| latest_snapshot::answer(view, &snapshot, &scope.filter()))?;
        return Ok((to_json(&answer)?, JSON));
    }
    if uri == POLICY_URI {
        let arguments = scope.restrict(get_tagging_policy::Arguments::default())?;
        return Ok((to_json(&get_tagging_policy::answer(state, arguments)?)?, JSON));
    }
    if let Some(date) = uri.strip_prefix(REPORT_PREFIX) {
        let day = if uri == LATEST_REPORT_URI { None } else { Some(date) };
        let arguments = generate_compliance_report::Arguments::as_markdown(day).map_err(ReadError::NotFound)?;
        let document = generate_compliance_report::answer(state, scope.restrict(arguments)?)?.body.into_document();
        return Ok((document, MARKDOWN));
    }
    if let Some(arn) = uri.strip_prefix(RESOURCE_PREFIX) {
        let arn = percent_decode_str(arn).decode_utf8_lossy();
        let named = ResourceRef::parse(&arn).map_err(|wrong| ReadError::NotFound(format!("the ARN is {wrong}")))?;
        let known = state.read_latest(|view, snapshot| resource::answer(view, &snapshot, &named.arn, scope))?;
        let unknown = || ReadError::NotFound("the newest snapshot has no such resource".to_owned());
        return Ok((to_json(&known.ok_or_else(unknown)?)?, JSON));
    }
    if let Some(tool) = uri.strip_prefix(SCHEMA_PREFIX) {
        let unknown = || ReadError::NotFound(format!("no such tool; there are {}", tool_names().join(", ")));
        return Ok((to_json(find_output_schema(tool).ok_or_else(unknown)?.as_ref())?, JSON_SCHEMA));
    }
    let reason = format!(
        "no such resource; there are {LATEST_SNAPSHOT_URI}, {POLICY_URI}, {LATEST_REPORT_URI}, {REPORT_TEMPLATE}, {RESOURCE_TEMPLATE} and {SCHEMA_TEMPLATE}"
    );
    Err(ReadError::NotFound(reason))
}

fn to_json(answer: &impl Serialize) -> Result<String, ToolFailure> {
    serde_json::to_string(answer).map_err(|error| {
        tracing::error!("an MCP resource cannot be serialized: {error}");
        ToolFailure::Internal
    })
}
