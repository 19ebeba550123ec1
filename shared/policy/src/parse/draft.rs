//! Reads the parts of a policy from JSON and checks each part by itself.

use jiff::civil::Date;
use tagledger_model::{ResourceType, inventory::MAX_USER_TAGS};

use crate::{
    date,
    error::quote,
    parse::json::{Fields, JsonNode, Position, Spanned, SpannedReader, unknown_name_message},
    pattern::Pattern,
    policy::Policy,
    rule::{Exemption, NamingRules, RuleParts, TagRule, ValueType},
};

/// The maximum number of tags in one list: as many as could apply if each type had tags of its own.
const MAX_TAGS_PER_LIST: usize = MAX_USER_TAGS * ResourceType::ALL.len();

pub(crate) struct PolicyDraft {
    version: Option<String>,
    last_updated: Option<String>,
    pub(crate) required: Vec<TagDraft>,
    pub(crate) optional: Vec<TagDraft>,
    pub(crate) naming: NamingRules,
    exemptions: Vec<Exemption>,
}

pub(crate) struct TagDraft {
    pub(crate) position: Position,
    pub(crate) name: Option<Spanned<String>>,
    description: Option<String>,
    pub(crate) allowed: Option<Vec<Spanned<String>>>,
    pub(crate) allowed_position: Option<Position>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) applies_to: Vec<ResourceType>,
    pub(crate) value_type: ValueType,
}

impl PolicyDraft {
    /// The policy; none when a mandatory part is missing.
    pub(crate) fn finish(self) -> Option<Policy> {
        let required = self.required.len();
        let rules: Option<Vec<_>> = self.required.into_iter().chain(self.optional).map(TagDraft::finish).collect();
        Some(Policy {
            version: self.version?,
            last_updated: self.last_updated?,
            rules: rules?,
            required,
            naming: self.naming,
            exemptions: self.exemptions,
            canonical_json: String::new(),
            digest: String::new(),
        })
    }
}

impl TagDraft {
    pub(crate) fn applies_to(&self, resource_type: ResourceType) -> bool {
        self.applies_to.is_empty() || self.applies_to.contains(&resource_type)
    }

    fn finish(self) -> Option<TagRule> {
        let parts = RuleParts {
            name: self.name?.value,
            description: self.description,
            allowed_values: self.allowed.map(|values| values.into_iter().map(|value| value.value).collect()),
            pattern: self.pattern,
            applies_to: self.applies_to,
            value_type: self.value_type,
        };
        Some(parts.into())
    }
}

/// None only when the root is not an object.
pub(crate) fn draft_policy(reader: &mut SpannedReader<'_>, root: &JsonNode<'_>) -> Option<PolicyDraft> {
    let fields = reader.fields(
        root,
        &["version", "last_updated", "required_tags"],
        &["optional_tags", "tag_naming_rules", "exemptions"],
    )?;
    Some(PolicyDraft {
        version: fields.get("version").and_then(|node| reader.filled_text(node)).map(into_string),
        last_updated: fields.get("last_updated").and_then(|node| parse_last_updated(reader, node)),
        required: parse_tags(reader, fields.get("required_tags")),
        optional: parse_tags(reader, fields.get("optional_tags")),
        naming: fields.get("tag_naming_rules").and_then(|node| parse_naming_rules(reader, node)).unwrap_or_default(),
        exemptions: parse_exemptions(reader, fields.get("exemptions")),
    })
}

fn into_string(text: Spanned<&str>) -> String {
    text.value.to_owned()
}

fn parse_last_updated(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>) -> Option<String> {
    let text = reader.text(node)?;
    if !date::is_rfc3339(text.value) {
        let given = quote(text.value);
        reader.report(
            &text.position,
            format!("must be an RFC 3339 date-time such as `2026-01-31T10:00:00Z`, not {given}"),
        );
    }
    Some(into_string(text))
}

fn parse_tags(reader: &mut SpannedReader<'_>, node: Option<&JsonNode<'_>>) -> Vec<TagDraft> {
    let Some(node) = node else { return Vec::new() };
    let elements = reader.list(node).unwrap_or_default();
    if elements.len() > MAX_TAGS_PER_LIST {
        reader.report(&node.position, format!("lists {} tags; at most {MAX_TAGS_PER_LIST} can apply", elements.len()));
    }
    elements.iter().take(MAX_TAGS_PER_LIST).filter_map(|element| parse_tag(reader, element)).collect()
}

fn parse_tag(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>) -> Option<TagDraft> {
    let fields = reader.fields(
        node,
        &["name"],
        &["description", "allowed_values", "validation_regex", "applies_to", "value_type"],
    )?;
    let name = fields.get("name").and_then(|node| reader.filled_text(node));
    let tag_name = name.as_ref().map_or("?", |name| name.value);
    Some(TagDraft {
        position: node.position.clone(),
        description: fields.get("description").and_then(|node| reader.text(node)).map(into_string),
        allowed: fields.get("allowed_values").and_then(|node| parse_allowed_values(reader, node)),
        allowed_position: fields.get("allowed_values").map(|node| node.position.clone()),
        pattern: fields.get("validation_regex").and_then(|node| parse_pattern(reader, node, tag_name)),
        applies_to: parse_applies_to(reader, fields.get("applies_to")),
        value_type: parse_value_type(reader, &fields),
        name: name.map(into_owned),
    })
}

fn into_owned(text: Spanned<&str>) -> Spanned<String> {
    Spanned { position: text.position, value: text.value.to_owned() }
}

fn parse_allowed_values(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>) -> Option<Vec<Spanned<String>>> {
    let elements = reader.list(node)?;
    Some(elements.iter().filter_map(|element| reader.text(element)).map(into_owned).collect())
}

fn parse_pattern(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>, tag: &str) -> Option<Pattern> {
    let text = reader.text(node)?;
    Pattern::compile(text.value, tag).map_err(|message| reader.report(&text.position, message)).ok()
}

fn parse_applies_to(reader: &mut SpannedReader<'_>, node: Option<&JsonNode<'_>>) -> Vec<ResourceType> {
    let elements = node.and_then(|node| reader.list(node)).unwrap_or_default();
    let mut types = Vec::new();
    for element in &elements {
        let Some(text) = reader.text(element) else { continue };
        match text.value.parse::<ResourceType>() {
            Ok(resource_type) if types.contains(&resource_type) => {
                reader.report(&text.position, format!("`{resource_type}` is listed twice"))
            }
            Ok(resource_type) => types.push(resource_type),
            Err(error) => reader.report(&text.position, error.to_string()),
        }
    }
    types
}

fn parse_value_type(reader: &mut SpannedReader<'_>, fields: &Fields<'_>) -> ValueType {
    let Some(text) = fields.get("value_type").and_then(|node| reader.text(node)) else { return ValueType::default() };
    let known = ValueType::ALL.iter().copied().find(|kind| kind.as_str() == text.value);
    if known.is_none() {
        let names: Vec<_> = ValueType::ALL.iter().map(|kind| kind.as_str()).collect();
        reader.report(&text.position, unknown_name_message("value type", text.value, &names));
    }
    known.unwrap_or_default()
}

fn parse_naming_rules(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>) -> Option<NamingRules> {
    let fields = reader.fields(
        node,
        &[],
        &["case_sensitivity", "allow_special_characters", "max_key_length", "max_value_length"],
    )?;
    let default = NamingRules::default();
    let mut flag = |name, default| fields.get(name).and_then(|node| reader.flag(node)).unwrap_or(default);
    let case_sensitivity = flag("case_sensitivity", default.case_sensitivity);
    let allow_special_characters = flag("allow_special_characters", default.allow_special_characters);
    let mut length = |name, limit| fields.get(name).and_then(|node| reader.length(node, limit)).unwrap_or(limit);
    Some(NamingRules {
        case_sensitivity,
        allow_special_characters,
        max_key_length: length("max_key_length", NamingRules::AWS_KEY_LENGTH),
        max_value_length: length("max_value_length", NamingRules::AWS_VALUE_LENGTH),
    })
}

fn parse_exemptions(reader: &mut SpannedReader<'_>, node: Option<&JsonNode<'_>>) -> Vec<Exemption> {
    let elements = node.and_then(|node| reader.list(node)).unwrap_or_default();
    elements.iter().filter_map(|element| parse_exemption(reader, element)).collect()
}

fn parse_exemption(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>) -> Option<Exemption> {
    let fields = reader.fields(node, &["resource_arn", "reason"], &["owner", "expires"])?;
    let arn = fields.get("resource_arn").and_then(|node| reader.text(node));
    let reason = fields.get("reason").and_then(|node| reader.filled_text(node));
    let owner = fields.get("owner").and_then(|node| reader.filled_text(node)).map(into_string);
    let expires = fields.get("expires").and_then(|node| parse_expiry(reader, node));
    if let Some(arn) = arn.as_ref().filter(|arn| !arn.value.starts_with("arn:")) {
        let given = quote(arn.value);
        reader.report(&arn.position, format!("must be an ARN such as `arn:aws:s3:::legacy-*`, not {given}"));
    }
    Some(Exemption { resource_arn: into_string(arn?), reason: into_string(reason?), owner, expires })
}

fn parse_expiry(reader: &mut SpannedReader<'_>, node: &JsonNode<'_>) -> Option<Date> {
    let text = reader.text(node)?;
    let day = Some(text.value).filter(|text| text.len() == 10).and_then(date::parse_utc_day);
    if day.is_none() {
        reader.report(&text.position, format!("must be a date such as `2026-12-31`, not {}", quote(text.value)));
    }
    day
}
