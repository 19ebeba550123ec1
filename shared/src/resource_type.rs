//! The resource types that TagLedger inventories.
//!
//! [`resource_types!`] is the only list of them: a further type is one line there and one file in `cloud/aws/`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Calls a macro with every resource type: variant, name, and the module in `cloud/aws/` that lists it.
macro_rules! resource_types {
    ($apply:ident) => {
        $apply! {
            Ec2Instance, "ec2:instance", ec2_instance;
            Ec2Volume, "ec2:volume", ec2_volume;
            EcsCluster, "ecs:cluster", ecs_cluster;
            EcsService, "ecs:service", ecs_service;
            LambdaFunction, "lambda:function", lambda_function;
            RdsCluster, "rds:cluster", rds_cluster;
            RdsDb, "rds:db", rds_db;
            S3Bucket, "s3:bucket", s3_bucket;
        }
    };
}

macro_rules! define {
    ($($variant:ident, $name:literal, $module:ident;)*) => {
        /// What kind of thing a resource is, named as AWS tag policies name it (`ec2:instance`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ResourceType {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $variant,)*
        }

        impl ResourceType {
            /// Every type, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name, such as `ec2:instance`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}
resource_types!(define);

/// A name that is no resource type; says which there are, the nearest first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a supported resource type{nearest}; supported are {}", names())]
pub struct UnknownResourceType {
    given: String,
    nearest: String,
}

fn names() -> String {
    ResourceType::ALL.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for ResourceType {
    type Err = UnknownResourceType;

    fn from_str(given: &str) -> Result<Self, UnknownResourceType> {
        Self::ALL.iter().copied().find(|t| t.as_str() == given).ok_or_else(|| UnknownResourceType {
            given: given.chars().take(100).collect(),
            nearest: nearest(given).map_or_else(String::new, |t| format!(" (did you mean `{t}`?)")),
        })
    }
}

fn nearest(given: &str) -> Option<ResourceType> {
    let given = given.to_lowercase();
    let distance = |t: &ResourceType| strsim::jaro_winkler(&given, t.as_str());
    let best = ResourceType::ALL.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    (distance(&best) > 0.85).then_some(best)
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_type_is_answered_with_the_nearest_and_the_whole_list() {
        let error = "rds:db-instance".parse::<ResourceType>().unwrap_err().to_string();
        assert!(error.contains("did you mean `rds:db`?"), "{error}");
        assert!(error.ends_with("lambda:function, rds:cluster, rds:db, s3:bucket"), "{error}");
        assert!(!"volcano".parse::<ResourceType>().unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn types_stand_in_the_order_of_their_names() {
        assert!(ResourceType::ALL.is_sorted_by_key(|t| t.as_str()));
    }
}
