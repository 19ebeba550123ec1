//! S3.

use crate::{
    api::{Operation, RateFamily},
    resource_ref_error::InvalidResourceRef,
    resource_types::{
        arn_shape::{ArnScope, ArnShape, CanonicalForm, IdChars, IdSource},
        spec::{
            BilledAs, CostSpec, CreationEvent, CustodianSpec, GET_RESOURCES, Identifier, TagSource, TagSpec,
            TerraformSpec, TerraformTags, TypeSpec,
        },
    },
};

/// Lists the buckets of a region. AWS publishes no rate; this one is far below what S3 accepted in tests.
pub const LIST_BUCKETS: Operation = Operation::new("s3:ListAllMyBuckets", RateFamily::new("s3 buckets", 5, 10));

/// Reads the tags of one bucket. AWS publishes no rate; this one is far below what S3 accepted in tests.
pub const GET_BUCKET_TAGGING: Operation = Operation::new("s3:GetBucketTagging", RateFamily::new("s3 tags", 50, 100));

/// `s3:bucket`
pub const BUCKET: TypeSpec = TypeSpec {
    name: "s3:bucket",
    arn: ArnShape {
        service: "s3",
        resource: "{bucket}",
        scope: ArnScope::Global,
        id: IdSource::User,
        id_chars: IdChars::with("-._"),
        canonical: CanonicalForm::Unchanged,
        mistakes: &[("{bucket}/*", InvalidResourceRef::Object)],
    },
    tags: TagSpec { source: TagSource::SeparateRequest, max_key_length: 128 },
    list_operations: &[LIST_BUCKETS, GET_RESOURCES, GET_BUCKET_TAGGING],
    // The list finds the region of a bucket.
    lookup_operations: &[LIST_BUCKETS, GET_BUCKET_TAGGING],
    fallback_operations: &[],
    // Only the response for a single bucket distinguishes a bucket without tags from one that does not exist.
    lookup_batch: 1,
    created_by: &[CreationEvent {
        name: "CreateBucket",
        source: "s3.amazonaws.com",
        resource: "/requestParameters/bucketName",
    }],
    cost: CostSpec {
        services: &["Amazon Simple Storage Service"],
        represents_services: true,
        billed_as: BilledAs::UniqueName,
        driver: None,
    },
    terraform: TerraformSpec { resource: "aws_s3_bucket", tags: TerraformTags::Argument },
    custodian: CustodianSpec { resource: "aws.s3", attribute: "Name", identifier: Identifier::Id },
};
