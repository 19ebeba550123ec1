//! Permission probes: the smallest request of each operation that a scan calls.

use std::future::Future;

use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_sdk_costexplorer::types::{CostAllocationTagType, DateInterval, Granularity};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use tagledger_model::{
    AccountId, Region,
    api::Operation,
    inventory::Gap,
    resource_types::{ec2, ecs, lambda, rds, s3, spec::GET_RESOURCES},
};

use crate::{
    accounts, client::Aws, cloud_trail, cost_explorer, session::Session, settings::MemberAccounts, wire::query,
};

/// The result of probing one permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionProbe {
    /// The account that received the request.
    pub account: AccountId,
    /// The IAM action, such as `ec2:DescribeVolumes`.
    pub action: &'static str,
    /// The outcome, or the gap of a failed request.
    pub outcome: Result<ProbeOutcome, Gap>,
}

/// The outcome of a probe that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The request succeeded.
    Granted,
    /// The account has no resource to test the permission with, such as a bucket whose tags could be read.
    NotTested,
}

/// The time of AWS and of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// The `Date` header of a response.
    pub aws: Timestamp,
    /// The time of this machine when the response arrived.
    pub local: Timestamp,
}

const REGIONS: &str = "ec2:DescribeRegions";

/// Probes the permissions of one account in one region.
struct Prober<'s> {
    session: &'s Session,
    probes: Vec<PermissionProbe>,
}

impl Aws {
    /// Probes all permissions of a scan in the configured region, for the caller's account and the member accounts. With `costs`,
    /// also those of Cost Explorer, which charges USD 0.01 for each request.
    pub async fn probe(&self, costs: bool, now: fn() -> Timestamp) -> (Vec<PermissionProbe>, Option<ClockSkew>) {
        let (own, region) = (&self.caller().id, self.default_region());
        let mut probes = self.probe_account(own, region).await;
        let clocks = self.sessions.last_response_date(REGIONS).map(|aws| ClockSkew { aws, local: now() });
        match &self.accounts {
            MemberAccounts::None => {}
            MemberAccounts::Listed(members) => {
                for member in members {
                    probes.extend(self.probe_account(member, region).await);
                }
            }
            MemberAccounts::Organization => {
                let session = self.sessions.get(own, region).await;
                let listed = accounts::list_organization(&session, self.caller().clone()).await;
                let outcome = listed.gap.map_or(Ok(ProbeOutcome::Granted), Err);
                probes.push(PermissionProbe { account: own.clone(), action: "organizations:ListAccounts", outcome });
                for member in listed.found.iter().filter(|account| account.id != *own) {
                    probes.extend(self.probe_account(&member.id, region).await);
                }
            }
        }
        if costs {
            probes.extend(self.probe_costs(now()).await);
        }
        (probes, clocks)
    }

    async fn probe_account(&self, account: &AccountId, region: &Region) -> Vec<PermissionProbe> {
        let session = self.sessions.get(account, region).await;
        let mut prober = Prober { session: &session, probes: Vec::new() };
        let regions = accounts::list_regions(&session).await.map(drop);
        let accessible = regions.is_ok();
        prober.add_result(REGIONS, regions);
        // If the role cannot be assumed, every other probe would report the same error.
        if accessible {
            prober.probe_inventory().await;
        }
        prober.probes
    }

    async fn probe_costs(&self, now: Timestamp) -> Vec<PermissionProbe> {
        let session = match cost_explorer::region(self.caller().partition.as_str()) {
            Ok(region) => self.sessions.get(self.payer(), &region).await,
            Err(gap) => {
                let (account, action) = (self.payer().clone(), "ce:GetCostAndUsage");
                return vec![PermissionProbe { account, action, outcome: Err(gap) }];
            }
        };
        let mut prober = Prober { session: &session, probes: Vec::new() };
        prober.probe_costs(now).await;
        prober.probes
    }
}

impl Prober<'_> {
    fn add_result(&mut self, action: &'static str, result: Result<(), Gap>) {
        let outcome = result.map(|()| ProbeOutcome::Granted);
        self.probes.push(PermissionProbe { account: self.session.account.clone(), action, outcome });
    }

    fn add_not_tested(&mut self, action: &'static str) {
        self.probes.push(PermissionProbe {
            account: self.session.account.clone(),
            action,
            outcome: Ok(ProbeOutcome::NotTested),
        });
    }

    async fn send<T, E>(
        &mut self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Option<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (response, result) = match self.session.send(operation, request).await {
            Ok(response) => (Some(response), Ok(())),
            Err(gap) => (None, Err(gap)),
        };
        self.add_result(operation.name, result);
        response
    }

    async fn probe_inventory(&mut self) {
        let session = self.session;
        let request = || query::Request::default().max_results(5);
        self.send(ec2::DESCRIBE_INSTANCES, session.ec2().describe_instances(request())).await;
        self.send(ec2::DESCRIBE_VOLUMES, session.ec2().describe_volumes(request())).await;
        let databases = session.rds().describe_db_instances().max_records(20).send();
        self.send(rds::DESCRIBE_DB_INSTANCES, databases).await;
        let clusters = session.rds().describe_db_clusters().max_records(20).send();
        self.send(rds::DESCRIBE_DB_CLUSTERS, clusters).await;
        self.probe_functions().await;
        self.probe_containers().await;
        self.probe_buckets().await;
        let tagged = session.tagging().get_resources().resources_per_page(1).send();
        self.send(GET_RESOURCES, tagged).await;
        self.probe_events().await;
    }

    async fn probe_events(&mut self) {
        let by_name =
            LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value("RunInstances");
        let Ok(by_name) = by_name.build() else { return };
        let events = self.session.cloud_trail().lookup_events().lookup_attributes(by_name).max_results(1).send();
        self.send(cloud_trail::LOOKUP_EVENTS, events).await;
    }

    async fn probe_functions(&mut self) {
        let session = self.session;
        let listed = session.lambda().list_functions().max_items(1).send();
        let listed = self.send(lambda::LIST_FUNCTIONS, listed).await;
        let function = listed.and_then(|page| page.functions().first()?.function_arn().map(str::to_owned));
        let Some(function) = function else { return self.add_not_tested(lambda::LIST_TAGS.name) };
        self.send(lambda::LIST_TAGS, session.lambda().list_tags().resource(function).send()).await;
    }

    async fn probe_containers(&mut self) {
        let session = self.session;
        let listed = session.ecs().list_clusters().max_results(1).send();
        let listed = self.send(ecs::LIST_CLUSTERS, listed).await;
        let Some(cluster) = listed.and_then(|page| page.cluster_arns().first().cloned()) else {
            return [ecs::DESCRIBE_CLUSTERS, ecs::LIST_SERVICES, ecs::DESCRIBE_SERVICES]
                .into_iter()
                .for_each(|operation| self.add_not_tested(operation.name));
        };
        let described = session.ecs().describe_clusters().clusters(&cluster).send();
        self.send(ecs::DESCRIBE_CLUSTERS, described).await;
        let services = session.ecs().list_services().cluster(&cluster).max_results(1).send();
        let services = self.send(ecs::LIST_SERVICES, services).await;
        let Some(service) = services.and_then(|page| page.service_arns().first().cloned()) else {
            return self.add_not_tested(ecs::DESCRIBE_SERVICES.name);
        };
        let described = session.ecs().describe_services().cluster(&cluster).services(service).send();
        self.send(ecs::DESCRIBE_SERVICES, described).await;
    }

    async fn probe_buckets(&mut self) {
        let session = self.session;
        let listed = session.s3().list_buckets().bucket_region(session.region.as_str()).max_buckets(1).send();
        let listed = self.send(s3::LIST_BUCKETS, listed).await;
        let bucket = listed.and_then(|page| page.buckets().first()?.name().map(str::to_owned));
        let operation = s3::GET_BUCKET_TAGGING;
        let Some(bucket) = bucket else { return self.add_not_tested(operation.name) };
        let response = session.send_raw(operation, session.s3().get_bucket_tagging().bucket(bucket).send()).await;
        let result = match response {
            Ok(_) => Ok(()),
            // The permission is granted, and the bucket has no tags.
            Err(error) if error.code() == Some("NoSuchTagSet") => Ok(()),
            Err(error) => Err(session.gap_from_error(operation, &error)),
        };
        self.add_result(operation.name, result);
    }

    async fn probe_costs(&mut self, now: Timestamp) {
        let session = self.session;
        let tags = session.cost_explorer().list_cost_allocation_tags().r#type(CostAllocationTagType::UserDefined);
        self.send(cost_explorer::LIST_TAGS, tags.max_results(1).send()).await;
        let today = TimeZone::UTC.to_datetime(now).date();
        let [from, until] = [3, 2].map(|days: i64| today.saturating_sub(days.days()).to_string());
        let Ok(day) = DateInterval::builder().start(from).end(until).build() else { return };
        let spend = session.cost_explorer().get_cost_and_usage().time_period(day).granularity(Granularity::Daily);
        self.send(cost_explorer::GET_COST, spend.metrics("UnblendedCost").send()).await;
    }
}
