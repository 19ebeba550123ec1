//! ECS services, which are listed for each cluster.

use std::collections::HashMap;

use aws_sdk_ecs::{
    error::ProvideErrorMetadata,
    operation::describe_services::DescribeServicesOutput,
    types::{Service, ServiceField},
};
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Listing, Tags},
    resource_types::ecs,
};

use crate::{
    listing_builder::{ListingBuilder, timestamp},
    paginator::Paginator,
    services::ecs::{
        cluster,
        description::{Described, Description, EcsTags, convert_tags, is_active, reconcile, tag_fetches},
    },
    session::Session,
    tags,
};

const LIST_CLUSTERS: Operation = ecs::LIST_CLUSTERS;

const LIST: Operation = ecs::LIST_SERVICES;

const DESCRIBE: Operation = ecs::DESCRIBE_SERVICES;

/// The maximum page size of `ListServices`. The default is 10.
const MAX_PAGE_SIZE: i32 = 100;

/// The maximum number of services in one `DescribeServices` request.
const MAX_DESCRIBED: usize = 10;

pub(crate) async fn list(session: &Session) -> Listing {
    let mut lister = ServiceLister { session, listing: ListingBuilder::default(), may_describe: true };
    let end = lister.list_all_clusters().await;
    lister.listing.finish(end)
}

/// Looks up services of one cluster. Their ARNs contain the name of the cluster.
pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let cluster = arns.first().and_then(|arn| arn.resource_id().split_once('/')).map(|(cluster, _)| cluster);
    let requested: Vec<String> = arns.iter().map(Arn::to_string).collect();
    let request = session.ecs().describe_services().set_cluster(cluster.map(str::to_owned));
    let request = request.set_services(Some(requested.clone())).include(ServiceField::Tags);
    let mut listing = ListingBuilder::default();
    match session.send_raw(DESCRIBE, request.send()).await {
        Ok(response) => {
            let described = reconcile(DESCRIBE, &requested, descriptions(&response), response.failures());
            described.into_iter().for_each(|service| listing.add_described(DESCRIBE, service));
        }
        Err(error) if error.code() == Some("ClusterNotFoundException") => {}
        Err(error) => {
            let gap = session.gap_from_error(DESCRIBE, &error);
            if gap.reason.is_refusal() {
                return tags::look_up::<EcsTags>(session, arns).await;
            }
            listing.record_gap(gap);
        }
    }
    listing.finish(Ok(()))
}

/// Lists the services of one account and region.
struct ServiceLister<'a> {
    session: &'a Session,
    listing: ListingBuilder,
    /// Whether `DescribeServices` has not been denied so far.
    may_describe: bool,
}

impl ServiceLister<'_> {
    async fn list_all_clusters(&mut self) -> Result<(), Gap> {
        let mut pages = Paginator::new(LIST_CLUSTERS);
        while let Some(token) = pages.next_page() {
            let (clusters, next) = cluster::list_page(self.session, token).await?;
            for cluster in clusters {
                // A policy can deny one cluster and allow another.
                if let Err(gap) = self.list_cluster(&cluster).await {
                    self.listing.record_gap(gap);
                }
            }
            pages.advance(next.as_deref())?;
        }
        Ok(())
    }

    async fn list_cluster(&mut self, cluster: &str) -> Result<(), Gap> {
        let request = self.session.ecs().list_services().cluster(cluster).max_results(MAX_PAGE_SIZE);
        let mut pages = Paginator::new(LIST);
        while let Some(token) = pages.next_page() {
            let page = match self.session.send_raw(LIST, request.clone().set_next_token(token).send()).await {
                Ok(page) => page,
                Err(error) if error.code() == Some("ClusterNotFoundException") => return Ok(()),
                Err(error) => return Err(self.session.gap_from_error(LIST, &error)),
            };
            self.add_services(cluster, page.service_arns()).await;
            pages.advance(page.next_token())?;
        }
        Ok(())
    }

    /// Adds the listed services of one page, with their tags.
    async fn add_services(&mut self, cluster: &str, arns: &[String]) {
        let (short, long): (Vec<_>, Vec<_>) = arns.iter().cloned().partition(|arn| is_short(arn));
        let undescribed = self.describe(cluster, &short).await;
        for arn in undescribed {
            self.add_short(cluster, Described { arn, created_at: None, tags: Tags::Untaggable });
        }
        let undescribed = self.describe(cluster, &long).await;
        let listed = tag_fetches(LIST, &undescribed, &mut self.listing);
        let tagged = tags::fetch::<EcsTags>(self.session, listed).await;
        self.listing.extend(tagged);
    }

    /// Describes services in batches, adds them, and returns the ARNs of those that could not be described.
    async fn describe(&mut self, cluster: &str, arns: &[String]) -> Vec<String> {
        let mut undescribed = Vec::new();
        for batch in arns.chunks(MAX_DESCRIBED) {
            match self.describe_batch(cluster, batch).await {
                Some(services) => services.into_iter().for_each(|service| self.add(cluster, service)),
                None => undescribed.extend_from_slice(batch),
            }
        }
        undescribed
    }

    /// Describes at most [`MAX_DESCRIBED`] services. `None` if the request is denied or fails.
    async fn describe_batch(&mut self, cluster: &str, arns: &[String]) -> Option<Vec<Described>> {
        if !self.may_describe {
            return None;
        }
        let request = self.session.ecs().describe_services().cluster(cluster).set_services(Some(arns.to_vec()));
        // ECS rejects requests for the tags of services with short ARNs.
        let fields = (!arns.iter().any(|arn| is_short(arn))).then(|| vec![ServiceField::Tags]);
        match self.session.send(DESCRIBE, request.set_include(fields).send()).await {
            Ok(response) => Some(reconcile(DESCRIBE, arns, descriptions(&response), response.failures())),
            Err(gap) => {
                self.may_describe = !gap.reason.is_refusal();
                None
            }
        }
    }

    fn add(&mut self, cluster: &str, service: Described) {
        if is_short(&service.arn) {
            self.add_short(cluster, service);
        } else {
            self.listing.add_described(DESCRIBE, service);
        }
    }

    fn add_short(&mut self, cluster: &str, service: Described) {
        let arn = with_cluster(&service.arn, cluster);
        self.listing.add_described(DESCRIBE, Described { arn, tags: Tags::Untaggable, ..service });
    }
}

fn descriptions(response: &DescribeServicesOutput) -> HashMap<&str, Description> {
    let described = |service| Some((Service::service_arn(service)?, description(service)));
    response.services().iter().filter_map(described).collect()
}

fn description(service: &Service) -> Description {
    Description {
        active: is_active(service.status()),
        created_at: service.created_at().and_then(timestamp),
        tags: convert_tags(service.tags()),
    }
}

/// Whether the ARN has the old short format, which does not contain the cluster. Such a service cannot be tagged until it is
/// created again.
fn is_short(arn: &str) -> bool {
    arn.matches('/').count() == 1
}

/// Inserts the cluster name into a short ARN, because two clusters may each have a service with the same name.
fn with_cluster(arn: &str, cluster: &str) -> String {
    match (arn.split_once('/'), cluster.rsplit('/').next()) {
        (Some((prefix, service)), Some(cluster)) => format!("{prefix}/{cluster}/{service}"),
        _ => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service ARN in the old short format is recognized and completed with the cluster name, whether the cluster is
    /// given as an ARN or as a name.
    #[test]
    fn short_service_arn_gets_cluster_name() {
        let (short, cluster) =
            ("arn:aws:ecs:eu-west-1:123456789012:service/checkout", "arn:aws:ecs:eu-west-1:123456789012:cluster/web");
        assert!(is_short(short));
        let long = with_cluster(short, cluster);
        assert_eq!(long, "arn:aws:ecs:eu-west-1:123456789012:service/web/checkout");
        assert!(!is_short(&long));
        assert_eq!(with_cluster(short, "web"), long);
    }

    /// Active and draining services are listed, and inactive ones are not.
    #[test]
    fn draining_service_active_inactive_not() {
        let service = |status: &str| description(&Service::builder().status(status).build()).active;
        assert!(service("ACTIVE") && service("DRAINING"));
        assert!(!service("INACTIVE"));
    }
}
