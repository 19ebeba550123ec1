//! Listers and lookups, one module for each service and one file for each resource type.

use tagledger_model::{Arn, ResourceType, inventory::Listing};

use crate::session::Session;

pub(crate) mod ec2;
pub(crate) mod ecs;
pub(crate) mod lambda;
pub(crate) mod rds;
pub(crate) mod s3;

macro_rules! dispatch {
    ($($variant:ident => $service:ident::$module:ident,)*) => {
        /// Lists one resource type to its last page, or to the gap that stopped the listing.
        pub(crate) async fn list(session: &Session, resource_type: ResourceType) -> Listing {
            match resource_type {
                $(ResourceType::$variant => $service::$module::list(session).await,)*
            }
        }

        /// Looks up at most `lookup_batch` resources of the row. A resource that is in neither the listing nor a gap does not exist.
        pub(crate) async fn look_up_batch(session: &Session, resource_type: ResourceType, arns: &[Arn]) -> Listing {
            match resource_type {
                $(ResourceType::$variant => $service::$module::look_up(session, arns).await,)*
            }
        }
    };
}

// One lister for each row of `tagledger_model::resource_types`. Without its line the crate does not compile.
dispatch! {
    Ec2Instance => ec2::instance,
    Ec2Volume => ec2::volume,
    EcsCluster => ecs::cluster,
    EcsService => ecs::service,
    LambdaFunction => lambda::function,
    RdsCluster => rds::cluster,
    RdsDb => rds::db,
    S3Bucket => s3::bucket,
}
