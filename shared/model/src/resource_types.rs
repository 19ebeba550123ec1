//! The supported resource types: one line in the table below, and one row of facts for each.
//!
//! The rows are in a module for each service. A row holds everything that the program knows about a resource type, except
//! its lister, which is in `shared/aws/src/services/`.

pub mod arn_shape;
pub mod ec2;
pub mod ecs;
pub mod lambda;
pub mod rds;
pub mod s3;
pub mod spec;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::resource_types::spec::TypeSpec;

macro_rules! resource_types {
    ($($variant:ident => $row:path,)*) => {
        /// A resource type, named as in AWS tag policies, such as `ec2:instance`. A handle to its row.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ResourceType {
            $(#[doc = concat!("The row `", stringify!($row), "`.")] $variant,)*
        }

        impl ResourceType {
            /// Every type, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The facts about the type.
            pub const fn spec(self) -> &'static TypeSpec {
                match self { $(Self::$variant => &$row),* }
            }
        }
    };
}

resource_types! {
    Ec2Instance => ec2::INSTANCE,
    Ec2Volume => ec2::VOLUME,
    EcsCluster => ecs::CLUSTER,
    EcsService => ecs::SERVICE,
    LambdaFunction => lambda::FUNCTION,
    RdsCluster => rds::CLUSTER,
    RdsDb => rds::DB,
    S3Bucket => s3::BUCKET,
}

impl ResourceType {
    /// The name, such as `ec2:instance`.
    pub const fn as_str(self) -> &'static str {
        self.spec().name
    }
}

/// The error for a name of no supported resource type. It proposes the most similar name and lists all names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a supported resource type{nearest}; supported are {}", all_names())]
pub struct UnknownResourceType {
    given: String,
    nearest: String,
}

fn all_names() -> String {
    ResourceType::ALL.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for ResourceType {
    type Err = UnknownResourceType;

    fn from_str(given: &str) -> Result<Self, UnknownResourceType> {
        Self::ALL.iter().copied().find(|t| t.as_str() == given).ok_or_else(|| UnknownResourceType {
            given: given.chars().take(100).collect(),
            nearest: find_nearest(given).map_or_else(String::new, |t| format!(" (did you mean `{t}`?)")),
        })
    }
}

/// The type with the most similar name, if one is similar enough to be meant.
fn find_nearest(given: &str) -> Option<ResourceType> {
    const MIN_SIMILARITY: f64 = 0.85;
    let given = given.to_lowercase();
    let similarity = |t: &ResourceType| strsim::jaro_winkler(&given, t.as_str());
    let best = ResourceType::ALL.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(&best) > MIN_SIMILARITY).then_some(best)
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ResourceType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ResourceType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for an unknown resource type proposes the nearest name, if one is similar, and lists all supported
    /// types.
    #[test]
    fn unknown_type_error_suggests_nearest() {
        let error = "rds:db-instance".parse::<ResourceType>().unwrap_err().to_string();
        assert!(error.contains("did you mean `rds:db`?"), "{error}");
        assert!(error.ends_with("lambda:function, rds:cluster, rds:db, s3:bucket"), "{error}");
        assert!(!"volcano".parse::<ResourceType>().unwrap_err().to_string().contains("did you mean"));
    }

    /// `ResourceType::ALL` is sorted by name.
    #[test]
    fn resource_types_are_sorted_by_name() {
        assert!(ResourceType::ALL.is_sorted_by_key(|t| t.as_str()));
    }

    /// The text form of every type parses to the same type. A row is used by one type only.
    #[test]
    fn resource_type_names_are_unique_and_round_trip() {
        for kind in ResourceType::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
    }
}
