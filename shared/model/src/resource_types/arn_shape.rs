//! The form of the ARNs of a resource type.

use std::borrow::Cow;

use crate::{ids::Arn, resource_ref_error::InvalidResourceRef};

/// The form of the ARNs of one resource type.
#[derive(Debug, Clone, Copy)]
pub struct ArnShape {
    /// The service part of the ARN, such as `ec2`.
    pub service: &'static str,
    /// The resource part of the ARN, with placeholders in braces, such as `service/{cluster}/{service}`.
    pub resource: &'static str,
    /// Whether the ARN contains the region and the account.
    pub scope: ArnScope,
    /// Who chooses the last placeholder.
    pub id: IdSource,
    /// The characters of a placeholder.
    pub id_chars: IdChars,
    /// How the forms that AWS accepts differ from the form that the ledger contains.
    pub canonical: CanonicalForm,
    /// Forms that are often given by mistake, with their errors. A `*` at the end stands for any text.
    pub mistakes: &'static [(&'static str, InvalidResourceRef)],
}

/// Whether the ARN of a resource contains its region and account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArnScope {
    /// It contains both.
    Regional,
    /// It contains neither: the name is unique in the partition. A lookup must find the region and the account first, and a
    /// resource of the same name can be created again in another region or account.
    Global,
}

/// Who chooses the ID of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdSource {
    /// AWS. The ID says nothing about the resource; its name is the `Name` tag.
    Aws,
    /// The user. The ID is a name.
    User,
}

/// The characters that a service accepts in an ID. A request with other characters fails, also for all other resources in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdChars {
    /// The characters besides letters and digits.
    pub punctuation: &'static str,
    /// Whether the first character is a letter.
    pub begins_with_letter: bool,
}

impl IdChars {
    /// Letters, digits and these characters.
    pub const fn with(punctuation: &'static str) -> Self {
        Self { punctuation, begins_with_letter: false }
    }

    fn accepts(self, id: &str) -> bool {
        let first = id.chars().next().is_some_and(|c| !self.begins_with_letter || c.is_ascii_alphabetic());
        first && id.chars().all(|c| c.is_ascii_alphanumeric() || self.punctuation.contains(c))
    }
}

/// How to write an ARN as the ledger contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanonicalForm {
    /// Unchanged.
    Unchanged,
    /// In lower case. RDS stores identifiers in lower case and accepts them in any case.
    LowerCase,
    /// Without the qualifier. Versions and aliases of functions have no tags of their own: `function:pay:3` is `function:pay`.
    Unqualified,
}

impl CanonicalForm {
    /// The ARN in this form.
    fn apply(self, arn: &str) -> Cow<'_, str> {
        match self {
            Self::Unchanged => arn.into(),
            Self::LowerCase => arn.to_ascii_lowercase().into(),
            Self::Unqualified => arn.split(':').take(7).collect::<Vec<_>>().join(":").into(),
        }
    }
}

/// How well an ARN fits a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeMatch {
    /// It has the shape. This is its canonical form.
    Full(Arn),
    /// It does not have the shape, but it was meant to.
    Mistaken(InvalidResourceRef),
    /// It is an ARN of another resource type.
    None,
}

impl ArnShape {
    /// Compares an ARN with the shape.
    pub fn match_arn(&self, arn: &Arn) -> ShapeMatch {
        let (region, account) = (arn.region().is_some(), arn.account().is_some());
        let global = self.scope == ArnScope::Global;
        if arn.service() != self.service || (global && (region || account)) {
            return ShapeMatch::None;
        }
        if let Ok(canonical) = self.canonical.apply(arn.as_str()).parse::<Arn>()
            && self.matches(self.resource, canonical.resource())
        {
            let complete = global || (region && account);
            let missing = ShapeMatch::Mistaken(InvalidResourceRef::MissingRegionOrAccount);
            return if complete { ShapeMatch::Full(canonical) } else { missing };
        }
        let mistake = self.mistakes.iter().find(|(pattern, _)| self.matches(pattern, arn.resource()));
        match mistake {
            Some((_, error)) => ShapeMatch::Mistaken(*error),
            None if kind(self.resource) == kind(arn.resource()) => ShapeMatch::Mistaken(InvalidResourceRef::Malformed),
            None => ShapeMatch::None,
        }
    }

    /// Writes an ARN. `ids` are the values of the placeholders, in their order.
    pub fn write_arn(&self, partition: &str, region: &str, account: &str, ids: &[&str]) -> String {
        let (region, account) = if self.scope == ArnScope::Global { ("", "") } else { (region, account) };
        let mut text = format!("arn:{partition}:{}:{region}:{account}:", self.service);
        let (mut pattern, mut ids) = (self.resource, ids.iter());
        while let Some((literal, rest)) = pattern.split_once('{') {
            text.push_str(literal);
            text.push_str(ids.next().copied().unwrap_or_default());
            pattern = rest.split_once('}').map_or("", |(_, after)| after);
        }
        text + pattern
    }

    /// The text before the last placeholder that belongs to the ID, such as `i-`.
    pub fn id_prefix(&self) -> &'static str {
        let before = self.resource.rsplit_once('{').map_or("", |(before, _)| before);
        before.rsplit([':', '/']).next().unwrap_or_default()
    }

    /// The number of placeholders.
    pub fn placeholders(&self) -> usize {
        self.resource.matches('{').count()
    }

    fn matches(&self, pattern: &str, resource: &str) -> bool {
        let (mut pattern, mut text) = (pattern, resource);
        while let Some((literal, rest)) = pattern.split_once('{') {
            let Some(after) = text.strip_prefix(literal) else { return false };
            let (id, remainder) =
                after.split_at_checked(after.find([':', '/']).unwrap_or(after.len())).unwrap_or((after, ""));
            if !self.id_chars.accepts(id) {
                return false;
            }
            (pattern, text) = (rest.split_once('}').map_or("", |(_, after)| after), remainder);
        }
        match pattern.strip_suffix('*') {
            Some(literal) => text.strip_prefix(literal).is_some_and(|rest| !rest.is_empty()),
            None => text == pattern,
        }
    }
}

/// The first part of a resource, such as `instance`; empty if it has one part or begins with a placeholder.
fn kind(resource: &str) -> &str {
    resource.split_once([':', '/']).map_or("", |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResourceType;

    /// An ARN that is written in the shape of a type is an ARN of that type only.
    #[test]
    fn written_arn_matches_its_own_type_only() {
        for kind in ResourceType::ALL {
            let shape = &kind.spec().arn;
            let ids = vec!["orders1"; shape.placeholders()];
            let arn: Arn = shape.write_arn("aws", "eu-west-1", "123456789012", &ids).parse().unwrap();
            let matching = ResourceType::ALL
                .iter()
                .filter(|other| other.spec().arn.match_arn(&arn) == ShapeMatch::Full(arn.clone()));
            assert_eq!(matching.collect::<Vec<_>>(), [kind], "{arn}");
        }
    }

    /// The ID of an EC2 resource has a prefix, and other IDs have none.
    #[test]
    fn id_prefix_is_text_before_last_placeholder() {
        let prefix = |kind: ResourceType| kind.spec().arn.id_prefix();
        assert_eq!(prefix(ResourceType::Ec2Volume), "vol-");
        assert_eq!((prefix(ResourceType::EcsService), prefix(ResourceType::S3Bucket)), ("", ""));
    }
}
