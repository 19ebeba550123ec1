//! `get_tagging_policy`: the current tagging policy, or that of an earlier snapshot.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_policy::{Exemption, Policy, TagRule, ValueType};

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    tools::common::{
        account_filter::limit_accounts,
        arguments::select_snapshot,
        envelope::{AsOf, Coverage, PolicyUsed, short_digest},
        time_period::Day,
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "get_tagging_policy";

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Returns the policy of the last snapshot up to the end of this day (UTC), such as `2026-10-31`. Default: the current policy.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
    /// The accounts of the caller's key. Clients cannot set it.
    #[serde(skip)]
    #[schemars(skip)]
    scope: AccountScope,
}

limit_accounts!(scope);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The version that the author of the policy gave it.
    version: String,
    /// The time of the last change of the policy, as its author wrote it (RFC 3339).
    last_updated: String,
    required_tags: Vec<Tag>,
    optional_tags: Vec<Tag>,
    tag_naming_rules: Naming,
    /// Resources that the policy exempts. Absent when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemptions: Vec<ExemptedResource>,
    /// The first 12 hexadecimal digits of the SHA-256 of its content.
    policy_digest: String,
    /// Whether the latest snapshot was evaluated by this policy. Absent when there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    judged_newest_snapshot: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tag {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    description: Option<String>,
    /// The allowed values. Absent when any value is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    allowed_values: Option<Vec<String>>,
    /// The pattern that the entire value must match. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    validation_regex: Option<String>,
    /// `date` or `expiration_date`. Absent for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    value_type: Option<&'static str>,
    /// The resource types to which the tag applies. Empty for all types.
    applies_to: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Naming {
    /// Whether keys are case-sensitive. If false, a key that differs only in case satisfies the policy, with a warning.
    case_sensitivity: bool,
    allow_special_characters: bool,
    max_key_length: usize,
    max_value_length: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExemptedResource {
    /// The pattern of exempted ARNs. `*` matches any text.
    resource_arn: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    owner: Option<String>,
    /// The last day of the exemption.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    expires: Option<String>,
}

/// The answer. Snapshot and coverage are optional, because the policy is available before the first scan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reply {
    #[serde(flatten)]
    body: Body,
    /// The latest snapshot, or that of the requested day. Absent before the first scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AsOf")]
    as_of: Option<AsOf>,
    /// The policy by which the snapshot was evaluated. Before the first scan: this policy.
    policy: PolicyUsed,
    /// The coverage of the snapshot. Absent before the first scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Coverage")]
    coverage: Option<Coverage>,
    /// Explanations of the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Answers the call from the policy file, or from the latest snapshot if the file is invalid. With `as_of`, from that snapshot.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Reply, ToolFailure> {
    match arguments.as_of {
        Some(day) => load_as_of(app, day, &arguments.scope),
        None => load_current(app, &arguments.scope),
    }
}

fn load_as_of(app: &AppState, day: Day, scope: &AccountScope) -> Result<Reply, ToolFailure> {
    app.read_snapshot(select_snapshot(Some(day)), |session, snapshot| {
        let policy = session.policy(&snapshot)?;
        let latest = session.newest()?.map(|latest| latest.policy_digest == snapshot.policy_digest);
        Ok(Reply {
            body: body(&policy, latest, scope),
            as_of: Some(AsOf::from_snapshot(&snapshot)),
            policy: PolicyUsed::from_policy(&policy),
            coverage: Some(Coverage::load(session, &snapshot, &scope.filter())?),
            notes: vec![
                "This is the policy by which the snapshot was evaluated. Omit `as_of` to get the current policy."
                    .to_owned(),
            ],
        })
    })
}

fn load_current(app: &AppState, scope: &AccountScope) -> Result<Reply, ToolFailure> {
    let (policy, error) = app.policy().get();
    if app.latest_snapshot()?.is_none() {
        return answer_without_snapshot(policy, error, scope);
    }
    app.read_latest(|session, snapshot| {
        let snapshot_policy = session.policy(&snapshot)?;
        let policy = policy.unwrap_or_else(|| Arc::clone(&snapshot_policy));
        let same = policy.digest() == snapshot_policy.digest();
        let mut notes: Vec<String> = error.map(last_valid_policy_note).into_iter().collect();
        if !same {
            notes.push(
                "The latest snapshot was evaluated by another policy. The next scan evaluates by this policy."
                    .to_owned(),
            );
        }
        Ok(Reply {
            body: body(&policy, Some(same), scope),
            as_of: Some(AsOf::from_snapshot(&snapshot)),
            policy: PolicyUsed::from_policy(&snapshot_policy),
            coverage: Some(Coverage::load(session, &snapshot, &scope.filter())?),
            notes,
        })
    })
}

fn answer_without_snapshot(
    policy: Option<Arc<Policy>>,
    error: Option<String>,
    scope: &AccountScope,
) -> Result<Reply, ToolFailure> {
    let Some(policy) = policy else {
        return Err(ToolFailure::Caller(error.unwrap_or_else(|| "there is no policy file".to_owned())));
    };
    let mut notes: Vec<String> = error.map(last_valid_policy_note).into_iter().collect();
    notes.push("The ledger has no snapshot yet. Run `tagledger scan` to evaluate the estate.".to_owned());
    Ok(Reply {
        body: body(&policy, None, scope),
        as_of: None,
        policy: PolicyUsed::from_policy(&policy),
        coverage: None,
        notes,
    })
}

fn last_valid_policy_note(error: String) -> String {
    format!("{error}; the answer has the last valid policy.")
}

fn body(policy: &Policy, judged_newest_snapshot: Option<bool>, scope: &AccountScope) -> Body {
    let naming = policy.naming();
    Body {
        version: escape(policy.version()),
        last_updated: policy.last_updated().to_owned(),
        required_tags: policy.required().iter().map(Tag::from_rule).collect(),
        optional_tags: policy.optional().iter().map(Tag::from_rule).collect(),
        tag_naming_rules: Naming {
            case_sensitivity: naming.case_sensitivity,
            allow_special_characters: naming.allow_special_characters,
            max_key_length: naming.max_key_length,
            max_value_length: naming.max_value_length,
        },
        exemptions: policy
            .exemptions()
            .iter()
            .filter(|one| is_visible(one, scope))
            .map(ExemptedResource::from_exemption)
            .collect(),
        policy_digest: short_digest(policy.digest()),
        judged_newest_snapshot,
    }
}

/// Whether the caller may see an exemption. A caller with a limited set of accounts sees only those that name one of these.
fn is_visible(exemption: &Exemption, scope: &AccountScope) -> bool {
    let account = exemption.resource_arn.split(':').nth(4).and_then(|account| account.parse().ok());
    scope.is_unrestricted() || account.is_some_and(|account| scope.contains(&account))
}

impl Tag {
    fn from_rule(rule: &TagRule) -> Self {
        Self {
            name: rule.name().to_owned(),
            description: rule.description().map(escape),
            allowed_values: rule.allowed_values().map(<[String]>::to_vec),
            validation_regex: rule.validation_regex().map(str::to_owned),
            value_type: (rule.value_type() != ValueType::Text).then(|| rule.value_type().as_str()),
            applies_to: rule.resource_types().iter().map(|t| t.as_str()).collect(),
        }
    }
}

impl ExemptedResource {
    fn from_exemption(exemption: &Exemption) -> Self {
        Self {
            resource_arn: exemption.resource_arn.clone(),
            reason: escape(&exemption.reason),
            owner: exemption.owner.as_deref().map(escape),
            expires: exemption.expires.map(|day| day.to_string()),
        }
    }
}
