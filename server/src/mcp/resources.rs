//! The resources: what a client may keep in view, or attach to a conversation, without calling a tool.

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
    mcp::{schema::AnswerSchema, tool_names::tool_names},
    snapshot_watcher::NEWEST,
    tools::{policy::get_tagging_policy, report::generate_compliance_report},
};

const JSON: &str = "application/json";

const JSON_SCHEMA: &str = "application/schema+json";

const MARKDOWN: &str = "text/markdown";

const POLICY: &str = "tagledger://policy";

const REPORT: &str = "tagledger://report/newest";

const REPORT_OF: &str = "tagledger://report/";

const RESOURCE: &str = "tagledger://resource/";

const SCHEMA: &str = "tagledger://schema/";

/// The templates, each with its one variable; [`crate::mcp::completions`] knows their values.
pub(crate) const REPORT_TEMPLATE: &str = "tagledger://report/{date}";

pub(crate) const RESOURCE_TEMPLATE: &str = "tagledger://resource/{+arn}";

pub(crate) const SCHEMA_TEMPLATE: &str = "tagledger://schema/{tool}";

pub(crate) fn list() -> ListResourcesResult {
    let newest = Resource::new(NEWEST, "newest snapshot")
        .with_title("Newest snapshot")
        .with_description("Score, counts and coverage of the newest snapshot. Subscribe to hear of each new one.")
        .with_mime_type(JSON);
    let policy = Resource::new(POLICY, "tagging policy")
        .with_title("Tagging policy")
        .with_description("The policy in force: required and optional tags, allowed values, patterns, exemptions.")
        .with_mime_type(JSON);
    let report = Resource::new(REPORT, "compliance report")
        .with_title("Compliance report")
        .with_description("The report on the newest snapshot, one page to be read or handed on.")
        .with_mime_type(MARKDOWN);
    ListResourcesResult::with_all_items(vec![newest, policy, report])
}

pub(crate) fn templates() -> ListResourceTemplatesResult {
    let report = ResourceTemplate::new(REPORT_TEMPLATE, "compliance report of a day")
        .with_title("Compliance report of a day")
        .with_description("The same report as of the end of a day (UTC), such as 2026-10-31.")
        .with_mime_type(MARKDOWN);
    let resource = ResourceTemplate::new(RESOURCE_TEMPLATE, "resource")
        .with_title("A resource")
        .with_description("What the newest snapshot knows of one resource: tags, findings, cost, who created it.")
        .with_mime_type(JSON);
    let schema = ResourceTemplate::new(SCHEMA_TEMPLATE, "schema of answers")
        .with_title("Schema of a tool's answers")
        .with_description(
            "The whole JSON schema of what a tool answers, for programs; the list of tools has an outline of it.",
        )
        .with_mime_type(JSON_SCHEMA);
    ListResourceTemplatesResult::with_all_items(vec![report, resource, schema])
}

/// Why there is nothing to read.
enum Unread {
    NoSuchResource(String),
    Failed(ToolFailure),
}

impl From<ToolFailure> for Unread {
    fn from(failure: ToolFailure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads one resource. `answer_schema` gives the schemas of the tools.
pub(crate) fn read(
    ledger: &AppState,
    uri: &str,
    reach: &AccountScope,
    answer_schema: AnswerSchema,
) -> Result<ReadResourceResult, ErrorData> {
    let (text, kind) = match text(ledger, uri, reach, answer_schema) {
        Ok(read) => read,
        Err(Unread::NoSuchResource(words)) => {
            return Err(ErrorData::resource_not_found(words, Some(json!({ "uri": uri }))));
        }
        Err(Unread::Failed(ToolFailure::Caller(words))) if uri == NEWEST => {
            (json!({ "snapshot": null, "note": words }).to_string(), JSON)
        }
        Err(Unread::Failed(ToolFailure::Caller(words))) => return Err(ErrorData::invalid_params(words, None)),
        Err(Unread::Failed(ToolFailure::Internal)) => {
            return Err(ErrorData::internal_error("the ledger cannot be read; the server's log says why", None));
        }
        Err(Unread::Failed(ToolFailure::Timeout(words))) => return Err(ErrorData::internal_error(words, None)),
    };
    let mut result = ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(kind)]);
    // A client that did not subscribe shall not think it knows.
    result.ttl_ms = Some(0);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result)
}

/// Bytes of what was read.
pub(crate) fn size(read: &ReadResourceResult) -> usize {
    let text = |contents: &ResourceContents| match contents {
        ResourceContents::TextResourceContents { text, .. } => text.len(),
        _ => 0,
    };
    read.contents.iter().map(text).sum()
}

fn text(
    ledger: &AppState,
    uri: &str,
    reach: &AccountScope,
    answer_schema: AnswerSchema,
) -> Result<(String, &'static str), Unread> {
    if uri == NEWEST {
        let answer = ledger.read_latest(|view, snapshot| latest_snapshot::answer(view, &snapshot, &reach.filter()))?;
        return Ok((written(&answer)?, JSON));
    }
    if uri == POLICY {
        let arguments = reach.keep(get_tagging_policy::Arguments::default())?;
        return Ok((written(&get_tagging_policy::answer(ledger, arguments)?)?, JSON));
    }
    if let Some(date) = uri.strip_prefix(REPORT_OF) {
        let day = if uri == REPORT { None } else { Some(date) };
        let arguments = generate_compliance_report::Arguments::as_markdown(day).map_err(Unread::NoSuchResource)?;
        let document = generate_compliance_report::answer(ledger, reach.keep(arguments)?)?.body.into_document();
        return Ok((document, MARKDOWN));
    }
    if let Some(arn) = uri.strip_prefix(RESOURCE) {
        let arn = percent_decode_str(arn).decode_utf8_lossy();
        let named = ResourceRef::parse(&arn).map_err(|wrong| Unread::NoSuchResource(format!("the ARN is {wrong}")))?;
        let known = ledger.read_latest(|view, snapshot| resource::answer(view, &snapshot, &named.arn, reach))?;
        let unknown = || Unread::NoSuchResource("the newest snapshot has no such resource".to_owned());
        return Ok((written(&known.ok_or_else(unknown)?)?, JSON));
    }
    if let Some(tool) = uri.strip_prefix(SCHEMA) {
        let unknown = || Unread::NoSuchResource(format!("no such tool; there are {}", tool_names().join(", ")));
        return Ok((written(answer_schema(tool).ok_or_else(unknown)?.as_ref())?, JSON_SCHEMA));
    }
    let words = format!(
        "no such resource; there are {NEWEST}, {POLICY}, {REPORT}, {REPORT_TEMPLATE}, {RESOURCE_TEMPLATE} and {SCHEMA_TEMPLATE}"
    );
    Err(Unread::NoSuchResource(words))
}

fn written(answer: &impl Serialize) -> Result<String, ToolFailure> {
    serde_json::to_string(answer).map_err(|error| {
        tracing::error!("a resource cannot be written: {error}");
        ToolFailure::Internal
    })
}
