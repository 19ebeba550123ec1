//! get_tagging_policy: the policy in force.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::policy::{Exemption, Policy, TagRule, ValueType};

use super::{
    ToolFailure,
    answer::{AsOf, Coverage, PolicyUsed, short},
    arguments::which,
    period::Day,
};
use crate::{
    ledger::Ledger,
    reach::{Reach, bounded},
    text::visible,
};

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The policy that judged the night of that day (UTC), such as `2026-10-31`; the one in force when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
    /// What the caller's key allows.
    #[serde(skip)]
    #[schemars(skip)]
    within: Reach,
}

bounded!(within);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// Its version, as its author writes it.
    version: String,
    /// When its author last changed it (RFC 3339).
    last_updated: String,
    required_tags: Vec<Tag>,
    optional_tags: Vec<Tag>,
    tag_naming_rules: Naming,
    /// Resources that it exempts. Absent when none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemptions: Vec<Exempted>,
    /// The first 12 digits of the SHA-256 of its content.
    policy_digest: String,
    /// Whether the newest snapshot was judged by it; absent when there is no snapshot.
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
    /// The values allowed; absent when any value is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    allowed_values: Option<Vec<String>>,
    /// The pattern that the whole value must match; absent when any will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    validation_regex: Option<String>,
    /// `date` or `expiration_date`; absent for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    value_type: Option<&'static str>,
    /// The resource types it applies to; empty means every type.
    applies_to: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Naming {
    /// False: a key that differs only in letter case satisfies, with a warning.
    case_sensitivity: bool,
    allow_special_characters: bool,
    max_key_length: usize,
    max_value_length: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exempted {
    /// ARN pattern; `*` stands for any text.
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

/// The policy; with provenance once there is a snapshot, for it can be asked for before the first scan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reply {
    #[serde(flatten)]
    body: Body,
    /// The newest snapshot, or that of the day; absent before the first scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AsOf")]
    as_of: Option<AsOf>,
    /// The policy that judged the snapshot; this one before the first scan.
    policy: PolicyUsed,
    /// What the snapshot scanned; absent before the first scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Coverage")]
    coverage: Option<Coverage>,
    /// What to know when reading the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// The answer: from the policy file, or from the newest snapshot when the file does not load; of a day, from its night.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Reply, ToolFailure> {
    match arguments.as_of {
        Some(day) => as_of(ledger, day, &arguments.within),
        None => in_force(ledger, &arguments.within),
    }
}

fn as_of(ledger: &Ledger, day: Day, within: &Reach) -> Result<Reply, ToolFailure> {
    ledger.ask_about(which(Some(day)), |view, snapshot| {
        let policy = view.policy(&snapshot)?;
        let newest = view.newest()?.map(|newest| newest.policy_digest == snapshot.policy_digest);
        Ok(Reply {
            body: body(&policy, newest, within),
            as_of: Some(AsOf::of(&snapshot)),
            policy: PolicyUsed::of(&policy),
            coverage: Some(Coverage::of(view, &snapshot, &within.filter())?),
            notes: vec!["The policy that judged this night; ask without `as_of` for the one in force.".to_owned()],
        })
    })
}

fn in_force(ledger: &Ledger, within: &Reach) -> Result<Reply, ToolFailure> {
    let (policy, fault) = ledger.policy().get();
    if ledger.newest()?.is_none() {
        return before_the_first_scan(policy, fault, within);
    }
    ledger.ask(|view, snapshot| {
        let judged_by = view.policy(&snapshot)?;
        let policy = policy.unwrap_or_else(|| Arc::clone(&judged_by));
        let same = policy.digest() == judged_by.digest();
        let mut notes: Vec<String> = fault.map(shown_before).into_iter().collect();
        if !same {
            notes.push(
                "The newest snapshot was judged by another policy; the next scan will judge by this one.".to_owned(),
            );
        }
        Ok(Reply {
            body: body(&policy, Some(same), within),
            as_of: Some(AsOf::of(&snapshot)),
            policy: PolicyUsed::of(&judged_by),
            coverage: Some(Coverage::of(view, &snapshot, &within.filter())?),
            notes,
        })
    })
}

fn before_the_first_scan(
    policy: Option<Arc<Policy>>,
    fault: Option<String>,
    within: &Reach,
) -> Result<Reply, ToolFailure> {
    let Some(policy) = policy else {
        return Err(ToolFailure::Caller(fault.unwrap_or_else(|| "there is no policy file".to_owned())));
    };
    let mut notes: Vec<String> = fault.map(shown_before).into_iter().collect();
    notes.push("The ledger has no snapshot yet; run `tagledger scan` to have the estate judged.".to_owned());
    Ok(Reply { body: body(&policy, None, within), as_of: None, policy: PolicyUsed::of(&policy), coverage: None, notes })
}

fn shown_before(fault: String) -> String {
    format!("{fault}; the last policy that loaded is shown.")
}

fn body(policy: &Policy, judged_newest_snapshot: Option<bool>, within: &Reach) -> Body {
    let naming = policy.naming();
    Body {
        version: visible(policy.version()),
        last_updated: policy.last_updated().to_owned(),
        required_tags: policy.required().iter().map(Tag::of).collect(),
        optional_tags: policy.optional().iter().map(Tag::of).collect(),
        tag_naming_rules: Naming {
            case_sensitivity: naming.case_sensitivity,
            allow_special_characters: naming.allow_special_characters,
            max_key_length: naming.max_key_length,
            max_value_length: naming.max_value_length,
        },
        exemptions: policy.exemptions().iter().filter(|one| told(one, within)).map(Exempted::of).collect(),
        policy_digest: short(policy.digest()),
        judged_newest_snapshot,
    }
}

/// Whether a caller may know of an exemption: whose accounts are some, of those that name one of them.
fn told(exemption: &Exemption, within: &Reach) -> bool {
    let account = exemption.resource_arn.split(':').nth(4).and_then(|account| account.parse().ok());
    within.is_all() || account.is_some_and(|account| within.has(&account))
}

impl Tag {
    fn of(rule: &TagRule) -> Self {
        Self {
            name: rule.name().to_owned(),
            description: rule.description().map(visible),
            allowed_values: rule.allowed_values().map(<[String]>::to_vec),
            validation_regex: rule.validation_regex().map(str::to_owned),
            value_type: (rule.value_type() != ValueType::Text).then(|| rule.value_type().as_str()),
            applies_to: rule.applies_to().iter().map(|t| t.as_str()).collect(),
        }
    }
}

impl Exempted {
    fn of(exemption: &Exemption) -> Self {
        Self {
            resource_arn: exemption.resource_arn.clone(),
            reason: visible(&exemption.reason),
            owner: exemption.owner.as_deref().map(visible),
            expires: exemption.expires.map(|day| day.to_string()),
        }
    }
}
