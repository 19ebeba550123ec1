//! The resources: what a client may keep in view without calling a tool.

use rmcp::{
    ErrorData,
    model::{CacheScope, ListResourcesResult, ReadResourceResult, Resource, ResourceContents},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::store::{Filter, Snapshot, Tally, View};

use crate::{
    announce::NEWEST,
    ledger::Ledger,
    reach::Reach,
    tools::{
        ToolFailure,
        answer::{Answer, AsOf, Coverage, PolicyUsed, States, score},
    },
};

const JSON: &str = "application/json";

/// What the newest snapshot says as a whole.
#[derive(Debug, Serialize, JsonSchema)]
struct Newest {
    /// Share of judged resources that are compliant; null when none was judged.
    compliance_score: Option<f64>,
    resources: States,
    /// When its scan ended (RFC 3339, UTC).
    finished_at: String,
}

pub(super) fn list() -> ListResourcesResult {
    let newest = Resource::new(NEWEST, "newest snapshot")
        .with_title("Newest snapshot")
        .with_description("Score, counts and coverage of the newest snapshot. Subscribe to hear of each new one.")
        .with_mime_type(JSON);
    ListResourcesResult::with_all_items(vec![newest])
}

pub(super) fn read(ledger: &Ledger, uri: &str, reach: &Reach) -> Result<ReadResourceResult, ErrorData> {
    if uri != NEWEST {
        let data = Some(json!({ "uri": uri }));
        return Err(ErrorData::resource_not_found(format!("no such resource; there is {NEWEST}"), data));
    }
    let text = match ledger.ask(|view, snapshot| newest(view, &snapshot, &reach.filter())) {
        Ok(answer) => {
            serde_json::to_string(&answer).map_err(|error| ErrorData::internal_error(error.to_string(), None))?
        }
        Err(ToolFailure::Caller(words)) => json!({ "snapshot": null, "note": words }).to_string(),
        Err(ToolFailure::Internal) => {
            return Err(ErrorData::internal_error("the ledger cannot be read; the server's log says why", None));
        }
    };
    let mut result = ReadResourceResult::new(vec![ResourceContents::text(text, NEWEST).with_mime_type(JSON)]);
    // A client that did not subscribe shall not think it knows.
    result.ttl_ms = Some(0);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result)
}

fn newest(view: &View<'_>, snapshot: &Snapshot, of: &Filter) -> Result<Answer<Newest>, ToolFailure> {
    let mut tally = Tally::default();
    view.cells(snapshot, of)?.into_iter().for_each(|(_, cell)| tally += cell);
    let policy = view.policy(snapshot)?;
    Ok(Answer {
        body: Newest {
            compliance_score: score(&tally),
            resources: States::of(&tally),
            finished_at: snapshot.finished_at.to_string(),
        },
        as_of: AsOf::of(snapshot),
        policy: PolicyUsed::of(&policy),
        coverage: Coverage::of(view, snapshot, of)?,
        notes: Vec::new(),
    })
}
