//! How many resources of each type the simulated company has, and how large they are.

use tagledger_model::ResourceType;

/// The resources of one type.
pub(crate) struct Population {
    /// The part of the estate, in parts of [`SUM_OF_SHARES`].
    pub(crate) share: u64,
    /// Sizes, with the cost per day in cents. For a type with a cost driver, the size is the driver. For volumes, it is the driver
    /// and the number of gigabytes.
    pub(crate) sizes: &'static [(&'static str, i64)],
    /// One of this many resources is stopped. None if it is 0.
    pub(crate) stopped_one_in: u32,
    /// Whether the resources have a security group, a role and a VPC.
    pub(crate) is_connected: bool,
}

/// The sum of the shares of all types.
pub(crate) const SUM_OF_SHARES: u64 = sum_shares();

const fn sum_shares() -> u64 {
    let (mut sum, mut rest) = (0, ResourceType::ALL);
    while let [first, others @ ..] = rest {
        sum += population(*first).share;
        rest = others;
    }
    sum
}

/// Returns the population of a resource type.
pub(crate) const fn population(resource_type: ResourceType) -> Population {
    match resource_type {
        ResourceType::Ec2Instance => Population {
            share: 26,
            sizes: &[("t3.medium", 100), ("m5.large", 230), ("m5.xlarge", 461), ("r5.large", 302), ("c5.2xlarge", 816)],
            stopped_one_in: 12,
            is_connected: true,
        },
        ResourceType::Ec2Volume => unconnected(30, &[("gp3 20", 5), ("gp3 50", 13), ("gp3 200", 53), ("gp3 500", 133)]),
        ResourceType::EcsCluster => unconnected(1, &[("free", 0)]),
        ResourceType::EcsService => unconnected(7, &[("one task", 59), ("four tasks", 237)]),
        ResourceType::LambdaFunction => connected(24, &[("seldom", 1), ("often", 22), ("always", 140)]),
        ResourceType::RdsCluster => connected(1, &[("storage", 95)]),
        ResourceType::RdsDb => connected(4, &[("db.t3.medium", 163), ("db.m5.large", 410), ("db.r5.xlarge", 1200)]),
        ResourceType::S3Bucket => unconnected(7, &[("small", 4), ("middling", 60), ("large", 710)]),
    }
}

const fn connected(share: u64, sizes: &'static [(&'static str, i64)]) -> Population {
    Population { share, sizes, stopped_one_in: 0, is_connected: true }
}

const fn unconnected(share: u64, sizes: &'static [(&'static str, i64)]) -> Population {
    Population { share, sizes, stopped_one_in: 0, is_connected: false }
}
