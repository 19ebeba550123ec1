//! From JSON to the parts of a policy, as far as each part stands alone.

use jiff::civil::Date;

use super::json::{Fields, Located, Node, Reader, Spot, unknown};
use crate::{
    ResourceType,
    inventory::MAX_USER_TAGS,
    policy::{
        Exemption, NamingRules, Policy, TagRule, ValueType, date, fault::quoted, pattern::Pattern, rule::RuleParts,
    },
};

/// The most tags in one list: as many as could apply if each type had its own.
const MOST_TAGS: usize = MAX_USER_TAGS * ResourceType::ALL.len();

pub(super) struct PolicyDraft {
    version: Option<String>,
    last_updated: Option<String>,
    pub(super) required: Vec<TagDraft>,
    pub(super) optional: Vec<TagDraft>,
    pub(super) naming: NamingRules,
    exemptions: Vec<Exemption>,
}

pub(super) struct TagDraft {
    pub(super) spot: Spot,
    pub(super) name: Option<Located<String>>,
    description: Option<String>,
    pub(super) allowed: Option<Vec<Located<String>>>,
    pub(super) allowed_spot: Option<Spot>,
    pub(super) pattern: Option<Pattern>,
    pub(super) applies_to: Vec<ResourceType>,
    pub(super) value_type: ValueType,
}

impl PolicyDraft {
    /// The policy; none where a mandatory part is missing.
    pub(super) fn finish(self) -> Option<Policy> {
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
    pub(super) fn applies(&self, resource_type: ResourceType) -> bool {
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

/// None only when the root is no object.
pub(super) fn policy(reader: &mut Reader<'_>, root: &Node<'_>) -> Option<PolicyDraft> {
    let fields = reader.fields(
        root,
        &["version", "last_updated", "required_tags"],
        &["optional_tags", "tag_naming_rules", "exemptions"],
    )?;
    Some(PolicyDraft {
        version: fields.get("version").and_then(|node| reader.filled_text(node)).map(owned),
        last_updated: fields.get("last_updated").and_then(|node| last_updated(reader, node)),
        required: tags(reader, fields.get("required_tags")),
        optional: tags(reader, fields.get("optional_tags")),
        naming: fields.get("tag_naming_rules").and_then(|node| naming(reader, node)).unwrap_or_default(),
        exemptions: exemptions(reader, fields.get("exemptions")),
    })
}

fn owned(text: Located<&str>) -> String {
    text.value.to_owned()
}

fn last_updated(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<String> {
    let text = reader.text(node)?;
    if !date::is_rfc3339(text.value) {
        let given = quoted(text.value);
        reader.fault(&text.spot, format!("must be an RFC 3339 date-time such as `2026-01-31T10:00:00Z`, not {given}"));
    }
    Some(owned(text))
}

fn tags(reader: &mut Reader<'_>, node: Option<&Node<'_>>) -> Vec<TagDraft> {
    let Some(node) = node else { return Vec::new() };
    let elements = reader.list(node).unwrap_or_default();
    if elements.len() > MOST_TAGS {
        reader.fault(&node.spot, format!("lists {} tags; at most {MOST_TAGS} could ever apply", elements.len()));
    }
    elements.iter().take(MOST_TAGS).filter_map(|element| tag(reader, element)).collect()
}

fn tag(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<TagDraft> {
    let fields = reader.fields(
        node,
        &["name"],
        &["description", "allowed_values", "validation_regex", "applies_to", "value_type"],
    )?;
    let name = fields.get("name").and_then(|node| reader.filled_text(node));
    let known_as = name.as_ref().map_or("?", |name| name.value);
    Some(TagDraft {
        spot: node.spot.clone(),
        description: fields.get("description").and_then(|node| reader.text(node)).map(owned),
        allowed: fields.get("allowed_values").and_then(|node| allowed_values(reader, node)),
        allowed_spot: fields.get("allowed_values").map(|node| node.spot.clone()),
        pattern: fields.get("validation_regex").and_then(|node| pattern(reader, node, known_as)),
        applies_to: applies_to(reader, fields.get("applies_to")),
        value_type: value_type(reader, &fields),
        name: name.map(to_owned),
    })
}

fn to_owned(text: Located<&str>) -> Located<String> {
    Located { spot: text.spot, value: text.value.to_owned() }
}

fn allowed_values(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Vec<Located<String>>> {
    let elements = reader.list(node)?;
    Some(elements.iter().filter_map(|element| reader.text(element)).map(to_owned).collect())
}

fn pattern(reader: &mut Reader<'_>, node: &Node<'_>, tag: &str) -> Option<Pattern> {
    let text = reader.text(node)?;
    Pattern::compile(text.value, tag).map_err(|message| reader.fault(&text.spot, message)).ok()
}

fn applies_to(reader: &mut Reader<'_>, node: Option<&Node<'_>>) -> Vec<ResourceType> {
    let elements = node.and_then(|node| reader.list(node)).unwrap_or_default();
    let mut types = Vec::new();
    for element in &elements {
        let Some(text) = reader.text(element) else { continue };
        match text.value.parse::<ResourceType>() {
            Ok(known) if types.contains(&known) => reader.fault(&text.spot, format!("`{known}` is listed twice")),
            Ok(known) => types.push(known),
            Err(error) => reader.fault(&text.spot, error.to_string()),
        }
    }
    types
}

fn value_type(reader: &mut Reader<'_>, fields: &Fields<'_>) -> ValueType {
    let Some(text) = fields.get("value_type").and_then(|node| reader.text(node)) else { return ValueType::default() };
    let known = ValueType::ALL.iter().copied().find(|kind| kind.as_str() == text.value);
    if known.is_none() {
        let names: Vec<_> = ValueType::ALL.iter().map(|kind| kind.as_str()).collect();
        reader.fault(&text.spot, unknown("value type", text.value, &names));
    }
    known.unwrap_or_default()
}

fn naming(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<NamingRules> {
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

fn exemptions(reader: &mut Reader<'_>, node: Option<&Node<'_>>) -> Vec<Exemption> {
    let elements = node.and_then(|node| reader.list(node)).unwrap_or_default();
    elements.iter().filter_map(|element| exemption(reader, element)).collect()
}

fn exemption(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Exemption> {
    let fields = reader.fields(node, &["resource_arn", "reason"], &["owner", "expires"])?;
    let arn = fields.get("resource_arn").and_then(|node| reader.text(node));
    let reason = fields.get("reason").and_then(|node| reader.filled_text(node));
    let owner = fields.get("owner").and_then(|node| reader.filled_text(node)).map(owned);
    let expires = fields.get("expires").and_then(|node| expires(reader, node));
    if let Some(arn) = arn.as_ref().filter(|arn| !arn.value.starts_with("arn:")) {
        let given = quoted(arn.value);
        reader.fault(&arn.spot, format!("must be an ARN such as `arn:aws:s3:::legacy-*`, not {given}"));
    }
    Some(Exemption { resource_arn: owned(arn?), reason: owned(reason?), owner, expires })
}

fn expires(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Date> {
    let text = reader.text(node)?;
    let day = Some(text.value).filter(|text| text.len() == 10).and_then(date::day);
    if day.is_none() {
        reader.fault(&text.spot, format!("must be a date such as `2026-12-31`, not {}", quoted(text.value)));
    }
    day
}
