//! ECS.

use crate::{
    api::{Operation, RateFamily},
    resource_ref_error::InvalidResourceRef,
    resource_types::{
        arn_shape::{ArnScope, ArnShape, CanonicalForm, IdChars, IdSource},
        spec::{
            BilledAs, CostSpec, CreationEvent, CustodianSpec, Identifier, TagSource, TagSpec, TerraformSpec,
            TerraformTags, TypeSpec,
        },
    },
};

const CLUSTERS: RateFamily = RateFamily::new("ecs clusters", 20, 50);

const SERVICES: RateFamily = RateFamily::new("ecs services", 20, 100);

/// Lists clusters.
pub const LIST_CLUSTERS: Operation = Operation::new("ecs:ListClusters", CLUSTERS);

/// Describes clusters with their tags.
pub const DESCRIBE_CLUSTERS: Operation = Operation::new("ecs:DescribeClusters", CLUSTERS);

/// Lists the services of a cluster.
pub const LIST_SERVICES: Operation = Operation::new("ecs:ListServices", SERVICES);

/// Describes services of a cluster with their tags.
pub const DESCRIBE_SERVICES: Operation = Operation::new("ecs:DescribeServices", SERVICES);

/// Reads the tags of one cluster or service.
pub const LIST_TAGS: Operation = Operation::new("ecs:ListTagsForResource", RateFamily::new("ecs tags", 20, 50));

const TAGS: TagSpec = TagSpec { source: TagSource::Description, max_key_length: 128 };

const TERRAFORM_TAGS: TerraformTags =
    TerraformTags::Resource { resource: "aws_ecs_tag", argument: "resource_arn", identifier: Identifier::Arn };

const fn arn(resource: &'static str, mistakes: &'static [(&'static str, InvalidResourceRef)]) -> ArnShape {
    ArnShape {
        service: "ecs",
        resource,
        scope: ArnScope::Regional,
        id: IdSource::User,
        id_chars: IdChars::with("-_"),
        canonical: CanonicalForm::Unchanged,
        mistakes,
    }
}

const fn cost(represents_services: bool, billed_as: BilledAs) -> CostSpec {
    CostSpec { services: &["Amazon Elastic Container Service"], represents_services, billed_as, driver: None }
}

/// `ecs:cluster`
pub const CLUSTER: TypeSpec = TypeSpec {
    name: "ecs:cluster",
    arn: arn("cluster/{cluster}", &[]),
    tags: TAGS,
    list_operations: &[LIST_CLUSTERS, DESCRIBE_CLUSTERS],
    lookup_operations: &[DESCRIBE_CLUSTERS],
    fallback_operations: &[LIST_TAGS],
    lookup_batch: 100,
    created_by: &[CreationEvent {
        name: "CreateCluster",
        source: "ecs.amazonaws.com",
        resource: "/responseElements/cluster/clusterArn",
    }],
    cost: cost(false, BilledAs::Unnamed),
    terraform: TerraformSpec { resource: "aws_ecs_cluster", tags: TERRAFORM_TAGS },
    custodian: CustodianSpec { resource: "aws.ecs", attribute: "clusterArn", identifier: Identifier::Arn },
};

/// `ecs:service`
pub const SERVICE: TypeSpec = TypeSpec {
    name: "ecs:service",
    arn: arn("service/{cluster}/{service}", &[("service/{service}", InvalidResourceRef::MissingCluster)]),
    tags: TAGS,
    list_operations: &[LIST_CLUSTERS, LIST_SERVICES, DESCRIBE_SERVICES],
    lookup_operations: &[DESCRIBE_SERVICES],
    fallback_operations: &[LIST_TAGS],
    lookup_batch: 10,
    created_by: &[CreationEvent {
        name: "CreateService",
        source: "ecs.amazonaws.com",
        resource: "/responseElements/service/serviceArn",
    }],
    cost: cost(true, BilledAs::Tasks),
    terraform: TerraformSpec { resource: "aws_ecs_service", tags: TERRAFORM_TAGS },
    custodian: CustodianSpec { resource: "aws.ecs-service", attribute: "serviceArn", identifier: Identifier::Arn },
};
