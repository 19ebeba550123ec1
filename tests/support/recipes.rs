//! Sets of tags and their evaluation by `policies/tagging_policy.json`, written by hand from the policy and independently of the
//! policy engine.
//!
//! The policy requires these tags of each type:
//!
//! | | CostCenter | Owner | Environment | Application |
//! |---|---|---|---|---|
//! | ec2:instance, rds:db | yes | yes | yes | yes |
//! | s3:bucket | yes | yes | | yes |
//! | lambda:function | yes | | yes | yes |
//! | ecs:service | | | yes | |
//! | ec2:volume, ecs:cluster, rds:cluster | | | | |

use fake_aws::{Estate, Recipe};

/// Findings as `severity CODE tag`.
type Findings = &'static [&'static str];

/// One way to tag, with the findings that it leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) tags: &'static [(&'static str, &'static str)],
    pub(crate) once_tagged: bool,
    /// Of types to which all four required tags apply.
    whole: Findings,
    bucket: Findings,
    function: Findings,
    service: Findings,
}

const COST: (&str, &str) = ("CostCenter", "Engineering");
const OWNER: (&str, &str) = ("Owner", "payments@example.com");
const ENVIRONMENT: (&str, &str) = ("Environment", "production");
const APPLICATION: (&str, &str) = ("Application", "shop-{n}");

const NO_COST: &str = "error MISSING CostCenter";
const NO_OWNER: &str = "error MISSING Owner";
const NO_ENVIRONMENT: &str = "error MISSING Environment";
const NO_APPLICATION: &str = "error MISSING Application";

const GOOD: Way =
    Way { name: "all right", tags: &[], once_tagged: false, whole: &[], bucket: &[], function: &[], service: &[] };

const BARE: Way = Way {
    whole: &[NO_COST, NO_OWNER, NO_ENVIRONMENT, NO_APPLICATION],
    bucket: &[NO_COST, NO_OWNER, NO_APPLICATION],
    function: &[NO_COST, NO_ENVIRONMENT, NO_APPLICATION],
    service: &[NO_ENVIRONMENT],
    ..GOOD
};

/// A finding on every type that is judged at all.
const fn everywhere(name: &'static str, tags: &'static [(&'static str, &'static str)], found: Findings) -> Way {
    Way { name, tags, whole: found, bucket: found, function: found, service: found, ..GOOD }
}

/// Every way.
pub(crate) const WAYS: [Way; 19] = [
    Way { name: "all right", tags: &[COST, OWNER, ENVIRONMENT, APPLICATION, ("Name", "web-{n}")], ..GOOD },
    Way { name: "never tagged", ..BARE },
    Way { name: "once tagged", once_tagged: true, ..BARE },
    Way { name: "only tags of AWS", tags: &[("aws:cloudformation:stack-name", "shop")], ..BARE },
    Way {
        name: "no cost centre",
        tags: &[OWNER, ENVIRONMENT, APPLICATION],
        whole: &[NO_COST],
        bucket: &[NO_COST],
        function: &[NO_COST],
        ..GOOD
    },
    // Counts as present, since `case_sensitivity` is false; billing takes it for another key, hence the warning.
    Way {
        name: "key in another letter case",
        tags: &[("costcenter", "Engineering"), OWNER, ENVIRONMENT, APPLICATION],
        whole: &["warning KEY_CASE_MISMATCH CostCenter"],
        bucket: &["warning KEY_CASE_MISMATCH CostCenter"],
        function: &["warning KEY_CASE_MISMATCH CostCenter"],
        ..GOOD
    },
    Way {
        name: "key nearly right",
        tags: &[("cost-center", "Engineering"), OWNER, ENVIRONMENT, APPLICATION],
        whole: &[NO_COST, "warning KEY_NEAR_MISS CostCenter"],
        bucket: &[NO_COST, "warning KEY_NEAR_MISS CostCenter"],
        function: &[NO_COST, "warning KEY_NEAR_MISS CostCenter"],
        ..GOOD
    },
    Way {
        name: "value not allowed",
        tags: &[COST, OWNER, ("Environment", "prod"), APPLICATION],
        whole: &["error NOT_ALLOWED Environment"],
        function: &["error NOT_ALLOWED Environment"],
        service: &["error NOT_ALLOWED Environment"],
        ..GOOD
    },
    Way {
        name: "value in another letter case",
        tags: &[COST, OWNER, ("Environment", "Production"), APPLICATION],
        whole: &["error VALUE_CASE Environment"],
        function: &["error VALUE_CASE Environment"],
        service: &["error VALUE_CASE Environment"],
        ..GOOD
    },
    Way {
        name: "value with a blank at its end",
        tags: &[COST, OWNER, ("Environment", "production "), APPLICATION],
        whole: &["error VALUE_WHITESPACE Environment"],
        function: &["error VALUE_WHITESPACE Environment"],
        service: &["error VALUE_WHITESPACE Environment"],
        ..GOOD
    },
    Way {
        name: "placeholder",
        tags: &[COST, ("Owner", "tbd"), ENVIRONMENT, APPLICATION],
        whole: &["error PLACEHOLDER Owner"],
        bucket: &["error PLACEHOLDER Owner"],
        ..GOOD
    },
    Way {
        name: "empty value",
        tags: &[COST, ("Owner", ""), ENVIRONMENT, APPLICATION],
        whole: &["error EMPTY Owner"],
        bucket: &["error EMPTY Owner"],
        ..GOOD
    },
    Way {
        name: "blank value",
        tags: &[COST, ("Owner", "  "), ENVIRONMENT, APPLICATION],
        whole: &["error BLANK Owner"],
        bucket: &["error BLANK Owner"],
        ..GOOD
    },
    Way {
        name: "pattern met but for letter case",
        tags: &[COST, OWNER, ENVIRONMENT, ("Application", "Shop")],
        whole: &["error VALUE_CASE Application"],
        bucket: &["error VALUE_CASE Application"],
        function: &["error VALUE_CASE Application"],
        ..GOOD
    },
    Way {
        name: "pattern not met",
        tags: &[COST, OWNER, ENVIRONMENT, ("Application", "shop_front")],
        whole: &["error REGEX Application"],
        bucket: &["error REGEX Application"],
        function: &["error REGEX Application"],
        ..GOOD
    },
    everywhere(
        "optional tag wrong",
        &[COST, OWNER, ENVIRONMENT, APPLICATION, ("Compliance", "ISO27001")],
        &["warning NOT_ALLOWED Compliance"],
    ),
    // About the keys of the resource, whether or not its type needs the tag.
    everywhere(
        "two spellings with two values",
        &[COST, ("cost_center", "Sales"), OWNER, ENVIRONMENT, APPLICATION],
        &["warning CONFLICTING_VALUES CostCenter"],
    ),
    everywhere(
        "two spellings with one value",
        &[COST, OWNER, ("owner", "payments@example.com"), ENVIRONMENT, APPLICATION],
        &["warning DUPLICATE_KEY_VARIANT Owner"],
    ),
    everywhere(
        "odd characters",
        &[COST, OWNER, ENVIRONMENT, APPLICATION, ("Note", "R&D <b>\"fast\"</b>")],
        &["warning BAD_CHARS Note"],
    ),
];

impl Way {
    /// The state and the findings of a resource of a type that is tagged so.
    pub(crate) fn verdict(&self, resource_type: &str) -> (&'static str, Vec<String>) {
        let found = match resource_type {
            "ec2:instance" | "rds:db" => self.whole,
            "s3:bucket" => self.bucket,
            "lambda:function" => self.function,
            "ecs:service" => self.service,
            "ec2:volume" | "ecs:cluster" | "rds:cluster" => return ("not_applicable", Vec::new()),
            other => panic!("{other} is no resource type"),
        };
        let invalid = found.iter().any(|finding| finding.starts_with("error"));
        let mut findings: Vec<String> = found.iter().map(|finding| (*finding).to_owned()).collect();
        findings.sort();
        (if invalid { "non_compliant" } else { "compliant" }, findings)
    }

    fn recipe(&self) -> Recipe {
        Recipe { once_tagged: self.once_tagged, ..Recipe::of(self.tags) }
    }

    /// Whether a resource with these tags was tagged this way; `{n}` stands for any text.
    pub(crate) fn explains(&self, tags: &[(String, String)]) -> bool {
        let same = |(key, value): &(String, String)| {
            self.tags.iter().any(|(k, v)| {
                k == key && v.split_once("{n}").map_or(v == value, |(prefix, _)| value.starts_with(prefix))
            })
        };
        tags.len() == self.tags.len() && tags.iter().all(same)
    }
}

/// The ways that moto can hold: it lets nobody set tags of AWS, forgets what was tagged once, and takes blanks off the
/// values of a bucket's tags.
pub(crate) fn ways_of_moto() -> Vec<Way> {
    let holds = |(key, value): &(&str, &str)| !key.starts_with("aws:") && value.trim() == *value;
    WAYS.into_iter().filter(|way| !way.once_tagged && way.tags.iter().all(holds)).collect()
}

/// An estate tagged in these ways in turn.
pub(crate) fn tagged(mut estate: Estate, ways: &[Way]) -> Estate {
    estate.recipes = ways.iter().map(Way::recipe).collect();
    estate
}
