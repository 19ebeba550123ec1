//! Identifiers of AWS. A value of these types is always valid.
//!
//! An account ID cannot be used as a region:
//!
//! ```compile_fail,E0308
//! let account: tagledger_model::AccountId = "us-east-1".parse::<tagledger_model::Region>().unwrap();
//! ```

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The error for a text that is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct InvalidId {
    given: String,
    expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier, as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(given: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(given) {
                    Ok(Self(given.into()))
                } else {
                    Err(InvalidId { given: given.chars().take(200).collect(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(given: String) -> Result<Self, InvalidId> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A 12-digit AWS account id.
    AccountId,
    "a 12-digit AWS account id",
    |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit())
);

id!(
    /// A region code such as `eu-west-1`. It has the right form; the region need not exist.
    Region,
    "an AWS region such as `eu-west-1`",
    |s| {
        let lower = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let mut parts = s.rsplit('-');
        let number = parts.next().is_some_and(|n| !n.is_empty() && n.len() < 3 && n.bytes().all(|b| b.is_ascii_digit()));
        number && s.len() <= 32 && s.matches('-').count() >= 2 && parts.all(lower)
    }
);

id!(
    /// The partition of an account: `aws`, `aws-cn`, `aws-us-gov` and so on.
    Partition,
    "an AWS partition such as `aws` or `aws-cn`",
    |s| {
        s.strip_prefix("aws").is_some_and(|rest| {
            rest.is_empty() || (rest.starts_with('-') && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        })
    }
);

id!(
    /// An Amazon resource name, `arn:partition:service:region:account:resource`.
    Arn,
    "an ARN such as `arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc`",
    |s| {
        let mut parts = s.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        next() == "arn"
            && next().parse::<Partition>().is_ok()
            && !next().is_empty()
            && optional::<Region>(next())
            && optional::<AccountId>(next())
            && !next().is_empty()
            && s.len() <= 2048
            && !s.chars().any(char::is_control)
    }
);

fn optional<T: FromStr>(part: &str) -> bool {
    part.is_empty() || part.parse::<T>().is_ok()
}

impl Arn {
    fn part(&self, index: usize) -> &str {
        self.as_str().splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// The partition, usually `aws`.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// The service, such as `ec2`.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The region; none if the ARN has no region, as that of an S3 bucket.
    pub fn region(&self) -> Option<Region> {
        self.part(3).parse().ok()
    }

    /// The account; none if the ARN has no account, as that of an S3 bucket.
    pub fn account(&self) -> Option<AccountId> {
        self.part(4).parse().ok()
    }

    /// The part after the account: `instance/i-0abc`, `db:orders`, or the name of a bucket.
    pub fn resource(&self) -> &str {
        self.part(5)
    }

    /// The resource part without its first segment: `i-0abc` of `instance/i-0abc`, `cluster/web` of `service/cluster/web`.
    pub fn resource_id(&self) -> &str {
        let resource = self.resource();
        resource.split_once([':', '/']).map_or(resource, |(_, id)| id)
    }

    /// The key of the resource in the ledger: the first 63 bits of the SHA-256 hash of the ARN, never negative.
    ///
    /// It is the same in every ledger, so that ledgers can be merged and compared.
    pub fn key(&self) -> i64 {
        let digest = Sha256::digest(self.as_str().as_bytes());
        let mut first = [0_u8; 8];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        i64::from_be_bytes(first) & i64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regions, account IDs and partitions parse only from valid text.
    #[test]
    fn identifiers_reject_invalid_text() {
        for good in ["us-east-1", "us-gov-west-1", "cn-north-1", "ap-southeast-4", "mx-central-1", "eusc-de-east-1"] {
            assert_eq!(good.parse::<Region>().unwrap().as_str(), good);
        }
        for bad in ["", "us-east", "US-EAST-1", "us-east-1a", "us--east-1", "1-2-3", "us-east-1 "] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
        assert!("12345678901".parse::<AccountId>().is_err());
        assert!("aws-us-gov".parse::<Partition>().is_ok());
        assert!("amazon".parse::<Partition>().is_err());
    }

    /// An ARN gives its partition, service, region, account and resource ID. A bucket ARN has no region and no account,
    /// and incomplete ARNs are rejected.
    #[test]
    fn arn_exposes_its_components() {
        let service: Arn = "arn:aws-cn:ecs:cn-north-1:123456789012:service/web/checkout".parse().unwrap();
        assert_eq!(service.partition(), "aws-cn");
        assert_eq!(service.service(), "ecs");
        assert_eq!(service.region().unwrap().as_str(), "cn-north-1");
        assert_eq!(service.resource_id(), "web/checkout");
        let bucket: Arn = "arn:aws:s3:::my-bucket".parse().unwrap();
        assert_eq!((bucket.region(), bucket.account(), bucket.resource_id()), (None, None, "my-bucket"));
        let database: Arn = "arn:aws:rds:eu-west-1:123456789012:db:orders".parse().unwrap();
        assert_eq!(database.resource_id(), "orders");
        for bad in ["", "arn:aws:ec2", "arn:aws:ec2:eu-west-1:12:instance/i", "arn:aws:ec2:eu-west-1:123456789012:"] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
    }

    /// The resource key is the first 63 bits of the SHA-256 hash of the ARN, compared with a fixed value.
    #[test]
    fn resource_key_is_63_bits_of_sha256() {
        // printf arn:aws:s3:::my-bucket | sha256sum
        let bucket: Arn = "arn:aws:s3:::my-bucket".parse().unwrap();
        assert_eq!(bucket.key(), KEY_OF_MY_BUCKET);
    }

    const KEY_OF_MY_BUCKET: i64 = 0x121a_72e3_3486_437a;
}
