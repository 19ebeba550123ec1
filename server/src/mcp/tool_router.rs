//! The tools as clients see them: name, title, description and annotations. The doc comment of a method is the description of its
//! tool.

use std::sync::Arc;

use rmcp::{
    Json,
    handler::server::{tool::Extension, wrapper::Parameters},
    tool, tool_router,
};

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    mcp::strict_arguments::StrictArguments,
    tools::{
        common::envelope::Answer,
        compliance::{check_tag_compliance, find_untagged_resources},
        cost::get_cost_attribution_gap,
        history::{detect_tag_drift, explain_compliance_change, get_violation_history, request},
        live::validate_resource_tags,
        policy::{get_tagging_policy, simulate_policy},
        remediate::plan_fixes,
        report::{generate_compliance_report, model},
        suggest::{suggest_tags, suggest_tags_bulk},
    },
};

/// The tools, and the state that they read.
#[derive(Debug)]
pub(crate) struct Tools {
    state: Arc<AppState>,
}

impl Tools {
    pub(crate) fn new(state: Arc<AppState>) -> Self {
        Self { state }
    }
}

#[tool_router(vis = "pub(crate)")]
impl Tools {
    /// Returns the compliance score of the estate, the number of resources by state, type, region, account and rule, and a
    /// page of violating resources with the correction of each finding. Use it to see how well resources are tagged.
    #[tool(
        name = "check_tag_compliance",
        title = "Check tag compliance",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn check_tag_compliance(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<check_tag_compliance::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<check_tag_compliance::Body>>, ToolFailure> {
        check_tag_compliance::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns the tags that were added, changed and removed between two snapshots, with examples and monthly cost, for
    /// resources that exist in both. Required tags come first.
    #[tool(
        name = "detect_tag_drift",
        title = "Detect tag drift",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn detect_tag_drift(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<detect_tag_drift::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<detect_tag_drift::Body>>, ToolFailure> {
        detect_tag_drift::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns the contribution of each cause to the change of the compliance score between two snapshots. The contributions
    /// add up to the change. It describes the entire estate.
    #[tool(
        name = "explain_compliance_change",
        title = "Explain compliance change",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn explain_compliance_change(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<explain_compliance_change::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<explain_compliance_change::Body>>, ToolFailure> {
        explain_compliance_change::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns resources without any user tag or without a required tag, with monthly cost and age, the highest cost first.
    /// Resources whose tags could not be read are counted as unknown and not listed.
    #[tool(
        name = "find_untagged_resources",
        title = "Find untagged resources",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn find_untagged_resources(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<find_untagged_resources::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<find_untagged_resources::Body>>, ToolFailure> {
        find_untagged_resources::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns a report on the entire estate to share: score by count and by cost, changes since last month and their causes,
    /// the most frequent and the most expensive violations, scopes that could not be read, and recommendations.
    #[tool(
        name = "generate_compliance_report",
        title = "Generate compliance report",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn generate_compliance_report(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<generate_compliance_report::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<model::Body>>, ToolFailure> {
        generate_compliance_report::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns the spend that cannot be attributed because required tags are missing or invalid, with all other parts of the
    /// bill, the gap by resource type, region or account, of each required tag, and by the current tags. The figures are from
    /// Cost Explorer and add up to the bill.
    #[tool(
        name = "get_cost_attribution_gap",
        title = "Get cost attribution gap",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn get_cost_attribution_gap(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<get_cost_attribution_gap::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<get_cost_attribution_gap::Body>>, ToolFailure> {
        get_cost_attribution_gap::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns compliance over time by day, week or month: score, violations and resources, violations opened, reopened and
    /// fixed, the median number of days to fix one, unattributable spend, and the trend. Returns only periods that have a
    /// snapshot.
    #[tool(
        name = "get_violation_history",
        title = "Get violation history",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn get_violation_history(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<request::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<get_violation_history::Body>>, ToolFailure> {
        get_violation_history::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns the current tagging policy, or that of an earlier day: required and optional tags, allowed values, patterns,
    /// resource types, naming rules and exemptions.
    #[tool(
        name = "get_tagging_policy",
        title = "Get tagging policy",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn get_tagging_policy(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<get_tagging_policy::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<get_tagging_policy::Reply>, ToolFailure> {
        get_tagging_policy::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns the smallest number of tag changes that reaches a compliance score: resources, values with a measured
    /// confidence, tags that a person must determine, and on request a script for AWS CLI, Terraform or Cloud Custodian.
    /// Changes nothing.
    #[tool(
        name = "plan_fixes",
        title = "Plan fixes",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn plan_fixes(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<plan_fixes::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<plan_fixes::Body>>, ToolFailure> {
        plan_fixes::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns the effect of a draft policy on the estate: the new score by count and by cost, the resources that would newly
    /// fail or pass, examples, and on request the scores of earlier snapshots. Changes nothing.
    #[tool(
        name = "simulate_policy",
        title = "Simulate policy",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn simulate_policy(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<simulate_policy::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<simulate_policy::Body>>, ToolFailure> {
        simulate_policy::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns suggested values for the missing and invalid required tags of one resource, each with a confidence that was
    /// measured on this estate and with evidence. Reads the resource from AWS. Suggests no value, and gives the reason, if
    /// the confidence is below 0.6.
    #[tool(
        name = "suggest_tags",
        title = "Suggest tags",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn suggest_tags(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<suggest_tags::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<suggest_tags::Body>>, ToolFailure> {
        suggest_tags::answer(&self.state, scope.restrict(arguments)?).await.map(Json)
    }

    /// Returns suggested values for the missing and invalid required tags of many resources, the highest cost first, each
    /// with a measured confidence, and the number of resources for each value.
    #[tool(
        name = "suggest_tags_bulk",
        title = "Suggest tags for many",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn suggest_tags_bulk(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<suggest_tags_bulk::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<suggest_tags_bulk::Body>>, ToolFailure> {
        suggest_tags_bulk::answer(&self.state, scope.restrict(arguments)?).map(Json)
    }

    /// Returns whether the given resources comply with the current policy, by their current tags in AWS: violations with the
    /// correct value, and the state in the latest snapshot if it differs. Besides suggest_tags, it is the only tool that
    /// queries AWS. Results are cached for one minute.
    #[tool(
        name = "validate_resource_tags",
        title = "Validate resource tags",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn validate_resource_tags(
        &self,
        Parameters(StrictArguments(arguments)): Parameters<StrictArguments<validate_resource_tags::Arguments>>,
        Extension(scope): Extension<AccountScope>,
    ) -> Result<Json<Answer<validate_resource_tags::Body>>, ToolFailure> {
        validate_resource_tags::answer(&self.state, scope.restrict(arguments)?).await.map(Json)
    }
}
