//! ECS services, cluster by cluster.

use aws_sdk_ecs::{
    error::ProvideErrorMetadata,
    types::{Service, ServiceField},
};

use super::{
    cloud_trail::{self, Creating},
    ecs_cluster::{self, Described, Description, EcsTags, is_active, named, reconcile, tags_of},
    found::{Found, timestamp},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
    tags,
};
use crate::{
    Arn,
    inventory::{Gap, Listing, Tags},
};

const LIST_CLUSTERS: Operation = Operation::new("ecs:ListClusters", Family::EcsClusters);
const LIST: Operation = Operation::new("ecs:ListServices", Family::EcsServices);
const DESCRIBE: Operation = Operation::new("ecs:DescribeServices", Family::EcsServices);

/// The most that AWS lists on a page; ten, were it not asked for more.
const PER_PAGE: i32 = 100;

/// The most that AWS describes in a request.
const PER_DESCRIPTION: usize = 10;

pub(super) const CREATED_BY: Creating = Creating {
    event: "CreateService",
    source: "ecs.amazonaws.com",
    created: |_, event| cloud_trail::at(event, "/responseElements/service/serviceArn"),
};

pub(super) async fn list(session: &Session) -> Listing {
    let mut reader = Reader { session, found: Found::default(), may_describe: true };
    let end = reader.clusters().await;
    reader.found.listing(end)
}

/// As many as a request describes, of one cluster.
pub(super) const LOOK_AT_ONCE: usize = PER_DESCRIPTION;

/// Services of one cluster, by long names.
pub(super) async fn look(session: &Session, arns: &[Arn]) -> Listing {
    let cluster = arns.first().and_then(|arn| arn.resource_id().split_once('/')).map(|(cluster, _)| cluster);
    let names: Vec<String> = arns.iter().map(Arn::to_string).collect();
    let request = session.ecs().describe_services().set_cluster(cluster.map(str::to_owned));
    let request = request.set_services(Some(names.clone())).include(ServiceField::Tags);
    let mut found = Found::default();
    match session.ask(DESCRIBE, request.send()).await {
        Ok(answer) => {
            let services = answer.services().iter().filter_map(|s| Some((s.service_arn()?, description(s))));
            let described = reconcile(DESCRIBE, &names, services.collect(), answer.failures());
            described.into_iter().for_each(|service| found.add_described(DESCRIBE, service));
        }
        Err(error) if error.code() == Some("ClusterNotFoundException") => {}
        Err(error) => {
            let gap = session.gap(DESCRIBE, &error);
            if gap.reason.is_refusal() {
                return tags::look::<EcsTags>(session, arns).await;
            }
            found.miss(gap);
        }
    }
    found.listing(Ok(()))
}

struct Reader<'a> {
    session: &'a Session,
    found: Found,
    may_describe: bool,
}

impl Reader<'_> {
    async fn clusters(&mut self) -> Result<(), Gap> {
        let mut pages = Pages::of(LIST_CLUSTERS);
        while let Some(token) = pages.next() {
            let (clusters, next) = ecs_cluster::page(self.session, token).await?;
            for cluster in clusters {
                // Policies can deny one cluster and allow the next.
                if let Err(gap) = self.cluster(&cluster).await {
                    self.found.miss(gap);
                }
            }
            pages.turn(next.as_deref())?;
        }
        Ok(())
    }

    async fn cluster(&mut self, cluster: &str) -> Result<(), Gap> {
        let request = self.session.ecs().list_services().cluster(cluster).max_results(PER_PAGE);
        let mut pages = Pages::of(LIST);
        while let Some(token) = pages.next() {
            let page = match self.session.ask(LIST, request.clone().set_next_token(token).send()).await {
                Ok(page) => page,
                Err(error) if error.code() == Some("ClusterNotFoundException") => return Ok(()),
                Err(error) => return Err(self.session.gap(LIST, &error)),
            };
            self.services(cluster, page.service_arns()).await;
            pages.turn(page.next_token())?;
        }
        Ok(())
    }

    async fn services(&mut self, cluster: &str, arns: &[String]) {
        let (short, long): (Vec<_>, Vec<_>) = arns.iter().cloned().partition(|arn| is_short(arn));
        let undescribed = self.describe(cluster, &short).await;
        for arn in undescribed {
            self.add_short(cluster, Described { arn, created_at: None, tags: Tags::Untaggable });
        }
        let undescribed = self.describe(cluster, &long).await;
        let listed = named(LIST, &undescribed, &mut self.found);
        let tagged = tags::read::<EcsTags>(self.session, listed).await;
        self.found.extend(tagged);
    }

    /// Describes services in batches, and returns the names of those that ECS would not describe.
    async fn describe(&mut self, cluster: &str, arns: &[String]) -> Vec<String> {
        let mut undescribed = Vec::new();
        for batch in arns.chunks(PER_DESCRIPTION) {
            match self.describe_batch(cluster, batch).await {
                Some(services) => services.into_iter().for_each(|service| self.add(cluster, service)),
                None => undescribed.extend_from_slice(batch),
            }
        }
        undescribed
    }

    async fn describe_batch(&mut self, cluster: &str, arns: &[String]) -> Option<Vec<Described>> {
        if !self.may_describe {
            return None;
        }
        let request = self.session.ecs().describe_services().cluster(cluster).set_services(Some(arns.to_vec()));
        // ECS refuses to speak of the tags of services with short names.
        let fields = (!arns.iter().any(|arn| is_short(arn))).then(|| vec![ServiceField::Tags]);
        match self.session.send(DESCRIBE, request.set_include(fields).send()).await {
            Ok(answer) => {
                let services = answer.services().iter().filter_map(|s| Some((s.service_arn()?, description(s))));
                Some(reconcile(DESCRIBE, arns, services.collect(), answer.failures()))
            }
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
            self.found.add_described(DESCRIBE, service);
        }
    }

    fn add_short(&mut self, cluster: &str, service: Described) {
        let arn = with_cluster(&service.arn, cluster);
        self.found.add_described(DESCRIBE, Described { arn, tags: Tags::Untaggable, ..service });
    }
}

fn description(service: &Service) -> Description {
    Description {
        active: is_active(service.status()),
        created_at: service.created_at().and_then(timestamp),
        tags: tags_of(service.tags()),
    }
}

/// Whether the name is from before services were named with their cluster. Such services cannot be tagged until they
/// are made anew.
fn is_short(arn: &str) -> bool {
    arn.matches('/').count() == 1
}

/// A short name with the cluster in it, since two clusters may each have a service of that name.
fn with_cluster(arn: &str, cluster: &str) -> String {
    match (arn.split_once('/'), cluster.rsplit('/').next()) {
        (Some((prefix, service)), Some(cluster)) => format!("{prefix}/{cluster}/{service}"),
        _ => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_told_apart_and_completed() {
        let (short, cluster) =
            ("arn:aws:ecs:eu-west-1:123456789012:service/checkout", "arn:aws:ecs:eu-west-1:123456789012:cluster/web");
        assert!(is_short(short));
        let long = with_cluster(short, cluster);
        assert_eq!(long, "arn:aws:ecs:eu-west-1:123456789012:service/web/checkout");
        assert!(!is_short(&long));
        assert_eq!(with_cluster(short, "web"), long);
    }

    #[test]
    fn a_draining_service_is_listed_and_an_inactive_one_is_not() {
        let service = |status: &str| description(&Service::builder().status(status).build()).active;
        assert!(service("ACTIVE") && service("DRAINING"));
        assert!(!service("INACTIVE"));
    }
}
