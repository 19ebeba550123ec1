//! Lambda.

use crate::{
    api::{Operation, RateFamily},
    resource_types::{
        arn_shape::{ArnScope, ArnShape, CanonicalForm, IdChars, IdSource},
        spec::{
            BilledAs, CostSpec, CreationEvent, CustodianSpec, GET_RESOURCES, Identifier, TagSource, TagSpec,
            TerraformSpec, TerraformTags, TypeSpec,
        },
    },
};

/// One bucket for the whole control plane. AWS does not raise this rate.
const CONTROL_PLANE: RateFamily = RateFamily::new("lambda", 15, 15);

/// Lists functions.
pub const LIST_FUNCTIONS: Operation = Operation::new("lambda:ListFunctions", CONTROL_PLANE);

/// Reads the tags of one function.
pub const LIST_TAGS: Operation = Operation::new("lambda:ListTags", CONTROL_PLANE);

/// `lambda:function`
pub const FUNCTION: TypeSpec = TypeSpec {
    name: "lambda:function",
    arn: ArnShape {
        service: "lambda",
        resource: "function:{function}",
        scope: ArnScope::Regional,
        id: IdSource::User,
        id_chars: IdChars::with("-_"),
        canonical: CanonicalForm::Unqualified,
        mistakes: &[],
    },
    tags: TagSpec { source: TagSource::SeparateRequest, max_key_length: 128 },
    list_operations: &[LIST_FUNCTIONS, GET_RESOURCES, LIST_TAGS],
    lookup_operations: &[LIST_TAGS],
    fallback_operations: &[],
    // Only the response for a single function distinguishes a function without tags from one that does not exist.
    lookup_batch: 1,
    created_by: &[CreationEvent {
        name: "CreateFunction20150331",
        source: "lambda.amazonaws.com",
        resource: "/responseElements/functionArn",
    }],
    cost: CostSpec { services: &["AWS Lambda"], represents_services: true, billed_as: BilledAs::Arn, driver: None },
    terraform: TerraformSpec { resource: "aws_lambda_function", tags: TerraformTags::Argument },
    custodian: CustodianSpec { resource: "aws.lambda", attribute: "FunctionName", identifier: Identifier::Id },
};
