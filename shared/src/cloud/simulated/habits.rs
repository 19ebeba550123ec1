//! How resources come and go, and how people tag: mistakes are made, and most are mended.

use super::{DAYS, company::Application, dice::Dice, set};
use crate::{
    ResourceType,
    inventory::{Scope, TagSet},
};

/// The day on which a resource is made; four in five were there before the first day.
pub(super) fn birth(dice: &mut Dice) -> i32 {
    let within = i32::try_from(dice.below(u32::from(DAYS)) + 1).unwrap_or(1);
    let before = -i32::try_from(dice.below(900)).unwrap_or(0);
    if dice.percent(80) { before } else { within }
}

/// The day on which it is deleted, if it is.
pub(super) fn death(dice: &mut Dice, born: i32) -> Option<i32> {
    let day = i32::try_from(dice.below(u32::from(DAYS) * 3 / 2) + 1).unwrap_or(1);
    let mortal = dice.percent(18);
    (mortal && day > born).then_some(day)
}

/// A mistake, from a day on and often only to another day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
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

const MISTAKES: &[Mistake] = &[
    Mistake::Untagged,
    Mistake::Untagged,
    Mistake::NoCostCenter,
    Mistake::NoCostCenter,
    Mistake::NoCostCenter,
    Mistake::NoOwner,
    Mistake::NoOwner,
    Mistake::NearMissKey,
    Mistake::LowerCaseKey,
    Mistake::ShortEnvironment,
    Mistake::ShortEnvironment,
    Mistake::CapitalEnvironment,
    Mistake::PlaceholderOwner,
    Mistake::PersonalOwner,
    Mistake::CapitalApplication,
    Mistake::TrailingBlank,
];

fn mistake(application: &Application, day: u16, dice: &mut Dice) -> Option<Mistake> {
    let kind = dice.pick(MISTAKES).copied();
    let careless = dice.percent(application.carelessness);
    let (mended, mended_on) = (dice.percent(55), dice.below(u32::from(DAYS) * 5 / 4));
    let (slips, slips_on) = (dice.percent(6), dice.below(u32::from(DAYS)));
    let day = u32::from(day);
    let made = if careless { !(mended && day >= mended_on) } else { slips && day >= slips_on };
    if made { kind } else { None }
}

/// The tags of a resource on a day.
pub(super) fn tags(application: &Application, name: &str, scope: &Scope, day: u16, dice: &mut Dice) -> TagSet {
    let mistake = mistake(application, day, dice);
    let from_stack = dice.percent(35);
    let audited = dice.percent(12);
    let mut pairs = Vec::new();
    let mut push = |key: &str, value: &str| pairs.push((key.to_owned(), value.to_owned()));
    if from_stack {
        push("aws:cloudformation:stack-name", &format!("{}-{}", application.name, application.environment));
    }
    if mistake == Some(Mistake::Untagged) {
        return set(pairs);
    }
    if matches!(scope.resource_type, ResourceType::Ec2Instance | ResourceType::Ec2Volume) {
        push("Name", name);
    }
    if audited {
        push("Compliance", if application.name == "checkout" { "PCI-DSS" } else { "SOC2" });
    }
    required(application, mistake, &mut pairs);
    set(pairs)
}

fn required(application: &Application, mistake: Option<Mistake>, pairs: &mut Vec<(String, String)>) {
    let environment = match mistake {
        Some(Mistake::ShortEnvironment) => application.environment.get(..4).unwrap_or_default().to_owned(),
        Some(Mistake::CapitalEnvironment) => capital(application.environment),
        Some(Mistake::TrailingBlank) => format!("{} ", application.environment),
        _ => application.environment.to_owned(),
    };
    let owner = match mistake {
        Some(Mistake::PlaceholderOwner) => "tbd",
        Some(Mistake::PersonalOwner) => "J. Smith",
        _ => application.owner,
    };
    let cost_center = match mistake {
        Some(Mistake::NearMissKey) => "cost-center",
        Some(Mistake::LowerCaseKey) => "costcenter",
        _ => "CostCenter",
    };
    let name = if mistake == Some(Mistake::CapitalApplication) { capital(application.name) } else { application.name.to_owned() };
    pairs.push(("Environment".to_owned(), environment));
    pairs.push(("Application".to_owned(), name));
    if mistake != Some(Mistake::NoCostCenter) {
        pairs.push((cost_center.to_owned(), application.cost_center.to_owned()));
    }
    if mistake != Some(Mistake::NoOwner) {
        pairs.push(("Owner".to_owned(), owner.to_owned()));
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
