//! Whether each permission is there: the smallest request of every operation that a scan makes.

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

/// What came of one permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionProbe {
    /// The account that was asked.
    pub account: AccountId,
    /// As IAM names it.
    pub action: &'static str,
    /// Whether AWS answered; why it did not.
    pub outcome: Result<ProbeOutcome, Gap>,
}

/// How a permission that was not refused stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// AWS answered.
    Granted,
    /// There was nothing to ask about, such as no bucket whose tags could be read.
    Nothing,
}

/// What time it is here and for AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// As AWS dated its answer.
    pub aws: Timestamp,
    /// When that came.
    pub here: Timestamp,
}

const REGIONS: &str = "ec2:DescribeRegions";

/// The probes of one account in one region.
struct Probing<'s> {
    session: &'s Session,
    probes: Vec<PermissionProbe>,
}

impl Aws {
    /// Tries every permission of a scan in the configured region, for the caller's account and for those that it enters.
    /// `costs`: also those of Cost Explorer, at USD 0.01 each.
    pub async fn probe(&self, costs: bool, now: fn() -> Timestamp) -> (Vec<PermissionProbe>, Option<ClockSkew>) {
        let (own, region) = (&self.caller().id, self.default_region());
        let mut probes = self.probe_account(own, region).await;
        let clocks = self.sessions.last_response_date(REGIONS).map(|aws| ClockSkew { aws, here: now() });
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
        let mut probing = Probing { session: &session, probes: Vec::new() };
        let regions = accounts::list_regions(&session).await.map(drop);
        let entered = regions.is_ok();
        probing.add(REGIONS, regions);
        // A role that cannot be assumed would be told fifteen times.
        if entered {
            probing.inventory().await;
        }
        probing.probes
    }

    async fn probe_costs(&self, now: Timestamp) -> Vec<PermissionProbe> {
        let session = match cost_explorer::region(self.caller().partition.as_str()) {
            Ok(region) => self.sessions.get(self.payer(), &region).await,
            Err(gap) => {
                let (account, action) = (self.payer().clone(), "ce:GetCostAndUsage");
                return vec![PermissionProbe { account, action, outcome: Err(gap) }];
            }
        };
        let mut probing = Probing { session: &session, probes: Vec::new() };
        probing.costs(now).await;
        probing.probes
    }
}

impl Probing<'_> {
    fn add(&mut self, action: &'static str, answered: Result<(), Gap>) {
        let outcome = answered.map(|()| ProbeOutcome::Granted);
        self.probes.push(PermissionProbe { account: self.session.account.clone(), action, outcome });
    }

    fn nothing(&mut self, action: &'static str) {
        self.probes.push(PermissionProbe {
            account: self.session.account.clone(),
            action,
            outcome: Ok(ProbeOutcome::Nothing),
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
        let answered = self.session.send(operation, request).await;
        let (answer, outcome) = match answered {
            Ok(answer) => (Some(answer), Ok(())),
            Err(gap) => (None, Err(gap)),
        };
        self.add(operation.name, outcome);
        answer
    }

    async fn inventory(&mut self) {
        let session = self.session;
        let few = || query::Request::default().max_results(5);
        self.send(ec2::DESCRIBE_INSTANCES, session.ec2().describe_instances(few())).await;
        self.send(ec2::DESCRIBE_VOLUMES, session.ec2().describe_volumes(few())).await;
        let databases = session.rds().describe_db_instances().max_records(20).send();
        self.send(rds::DESCRIBE_DB_INSTANCES, databases).await;
        let clusters = session.rds().describe_db_clusters().max_records(20).send();
        self.send(rds::DESCRIBE_DB_CLUSTERS, clusters).await;
        self.functions().await;
        self.containers().await;
        self.buckets().await;
        let tagged = session.tagging().get_resources().resources_per_page(1).send();
        self.send(GET_RESOURCES, tagged).await;
        self.events().await;
    }

    async fn events(&mut self) {
        let named =
            LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value("RunInstances");
        let Ok(named) = named.build() else { return };
        let events = self.session.cloud_trail().lookup_events().lookup_attributes(named).max_results(1).send();
        self.send(cloud_trail::LOOK_UP, events).await;
    }

    async fn functions(&mut self) {
        let session = self.session;
        let listed = session.lambda().list_functions().max_items(1).send();
        let listed = self.send(lambda::LIST_FUNCTIONS, listed).await;
        let function = listed.and_then(|page| page.functions().first()?.function_arn().map(str::to_owned));
        let Some(function) = function else { return self.nothing(lambda::LIST_TAGS.name) };
        self.send(lambda::LIST_TAGS, session.lambda().list_tags().resource(function).send()).await;
    }

    async fn containers(&mut self) {
        let session = self.session;
        let listed = session.ecs().list_clusters().max_results(1).send();
        let listed = self.send(ecs::LIST_CLUSTERS, listed).await;
        let Some(cluster) = listed.and_then(|page| page.cluster_arns().first().cloned()) else {
            return [ecs::DESCRIBE_CLUSTERS, ecs::LIST_SERVICES, ecs::DESCRIBE_SERVICES]
                .into_iter()
                .for_each(|operation| self.nothing(operation.name));
        };
        let described = session.ecs().describe_clusters().clusters(&cluster).send();
        self.send(ecs::DESCRIBE_CLUSTERS, described).await;
        let services = session.ecs().list_services().cluster(&cluster).max_results(1).send();
        let services = self.send(ecs::LIST_SERVICES, services).await;
        let Some(service) = services.and_then(|page| page.service_arns().first().cloned()) else {
            return self.nothing(ecs::DESCRIBE_SERVICES.name);
        };
        let described = session.ecs().describe_services().cluster(&cluster).services(service).send();
        self.send(ecs::DESCRIBE_SERVICES, described).await;
    }

    async fn buckets(&mut self) {
        let session = self.session;
        let listed = session.s3().list_buckets().bucket_region(session.region.as_str()).max_buckets(1).send();
        let listed = self.send(s3::LIST_BUCKETS, listed).await;
        let bucket = listed.and_then(|page| page.buckets().first()?.name().map(str::to_owned));
        let operation = s3::GET_BUCKET_TAGGING;
        let Some(bucket) = bucket else { return self.nothing(operation.name) };
        let answered = session.send_raw(operation, session.s3().get_bucket_tagging().bucket(bucket).send()).await;
        let answered = match answered {
            Ok(_) => Ok(()),
            // That there are no tags is an answer.
            Err(error) if error.code() == Some("NoSuchTagSet") => Ok(()),
            Err(error) => Err(session.gap_from_error(operation, &error)),
        };
        self.add(operation.name, answered);
    }

    async fn costs(&mut self, now: Timestamp) {
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
