//! The lifetimes of simulated resources, and the tagging errors that are made and mostly corrected over time.

use tagledger_model::{
    inventory::{Scope, TagSet},
    resource_types::arn_shape::IdSource,
};

use crate::simulated::{
    company::{Application, DAYS},
    rng::Rng,
};

/// Picks the day on which a resource is created. Four in five resources exist before the first day.
pub(crate) fn creation_day(rng: &mut Rng) -> i32 {
    let during = i32::try_from(rng.below(u32::from(DAYS)) + 1).unwrap_or(1);
    let before = -i32::try_from(rng.below(900)).unwrap_or(0);
    if rng.chance(80) { before } else { during }
}

/// Picks the day on which a resource is deleted, if it is deleted.
pub(crate) fn deletion_day(rng: &mut Rng, created: i32) -> Option<i32> {
    let day = i32::try_from(rng.below(u32::from(DAYS) * 3 / 2) + 1).unwrap_or(1);
    let is_deleted = rng.chance(18);
    (is_deleted && day > created).then_some(day)
}

/// A kind of wrong or missing tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaggingError {
    Untagged,
    NoCostCenter,
    NoOwner,
    NearMissKey,
    LowerCaseKey,
    ShortEnvironment,
    CapitalEnvironment,
    PlaceholderOwner,
    PersonalOwner,
    CapitalApplication,
    TrailingBlank,
}

/// The kinds of tagging errors, repeated by their frequency.
const ERRORS_BY_FREQUENCY: &[TaggingError] = &[
    TaggingError::Untagged,
    TaggingError::Untagged,
    TaggingError::NoCostCenter,
    TaggingError::NoCostCenter,
    TaggingError::NoCostCenter,
    TaggingError::NoOwner,
    TaggingError::NoOwner,
    TaggingError::NearMissKey,
    TaggingError::LowerCaseKey,
    TaggingError::ShortEnvironment,
    TaggingError::ShortEnvironment,
    TaggingError::CapitalEnvironment,
    TaggingError::PlaceholderOwner,
    TaggingError::PersonalOwner,
    TaggingError::CapitalApplication,
    TaggingError::TrailingBlank,
];

/// Picks the tagging error that a resource has on a day. An error is either made at creation and often corrected later, or
/// made on a later day.
fn tagging_error(application: &Application, day: u16, rng: &mut Rng) -> Option<TaggingError> {
    let kind = rng.pick(ERRORS_BY_FREQUENCY).copied();
    let made_at_creation = rng.chance(application.error_percent);
    let (corrected, corrected_on) = (rng.chance(55), rng.below(u32::from(DAYS) * 5 / 4));
    let (made_later, made_on) = (rng.chance(6), rng.below(u32::from(DAYS)));
    let day = u32::from(day);
    let present = if made_at_creation { !(corrected && day >= corrected_on) } else { made_later && day >= made_on };
    if present { kind } else { None }
}

/// Makes the tags of a resource on a day.
pub(crate) fn tags(application: &Application, name: &str, scope: &Scope, day: u16, rng: &mut Rng) -> TagSet {
    let error = tagging_error(application, day, rng);
    let from_stack = rng.chance(35);
    let audited = rng.chance(12);
    let mut pairs = Vec::new();
    let mut push = |key: &str, value: &str| pairs.push((key.to_owned(), value.to_owned()));
    if from_stack {
        push("aws:cloudformation:stack-name", &format!("{}-{}", application.name, application.environment));
    }
    if error == Some(TaggingError::Untagged) {
        return pairs.into_iter().collect();
    }
    if scope.resource_type.spec().arn.id == IdSource::Aws {
        push("Name", name);
    }
    if audited {
        push("Compliance", if application.name == "checkout" { "PCI-DSS" } else { "SOC2" });
    }
    add_required_tags(application, error, &mut pairs);
    pairs.into_iter().collect()
}

fn add_required_tags(application: &Application, error: Option<TaggingError>, pairs: &mut Vec<(String, String)>) {
    let environment = match error {
        Some(TaggingError::ShortEnvironment) => application.environment.get(..4).unwrap_or_default().to_owned(),
        Some(TaggingError::CapitalEnvironment) => capitalize(application.environment),
        Some(TaggingError::TrailingBlank) => format!("{} ", application.environment),
        _ => application.environment.to_owned(),
    };
    let owner = match error {
        Some(TaggingError::PlaceholderOwner) => "tbd",
        Some(TaggingError::PersonalOwner) => "J. Smith",
        _ => application.owner,
    };
    let cost_center = match error {
        Some(TaggingError::NearMissKey) => "cost-center",
        Some(TaggingError::LowerCaseKey) => "costcenter",
        _ => "CostCenter",
    };
    let name = if error == Some(TaggingError::CapitalApplication) {
        capitalize(application.name)
    } else {
        application.name.to_owned()
    };
    pairs.push(("Environment".to_owned(), environment));
    pairs.push(("Application".to_owned(), name));
    if error != Some(TaggingError::NoCostCenter) {
        pairs.push((cost_center.to_owned(), application.cost_center.to_owned()));
    }
    if error != Some(TaggingError::NoOwner) {
        pairs.push(("Owner".to_owned(), owner.to_owned()));
    }
}

fn capitalize(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
