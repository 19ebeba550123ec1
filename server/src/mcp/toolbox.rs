//! The tools as clients see them: name, title, what it is for, and how to read its answer.

use rmcp::{
    Json,
    handler::server::{tool::Extension, wrapper::Parameters},
    tool, tool_router,
};

use super::{Mcp, checked::Checked};
use crate::reach::Reach;
use crate::tools::{
    ToolFailure, answer::Answer, check_tag_compliance, detect_tag_drift, explain_compliance_change,
    find_untagged_resources, generate_compliance_report, get_cost_attribution_gap, get_tagging_policy,
    get_violation_history, plan_fixes, simulate_policy, suggest_tags, suggest_tags_bulk, validate_resource_tags,
};

#[tool_router(vis = "pub(super)")]
impl Mcp {
    /// How well the estate is tagged: compliance score, totals by state, counts by resource type, region, account and
    /// rule, and a page of violating resources with the fix for each finding. Answers from the newest snapshot.
    #[tool(
        name = "check_tag_compliance",
        title = "Check tag compliance",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn check_tag_compliance(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<check_tag_compliance::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<check_tag_compliance::Body>>, ToolFailure> {
        check_tag_compliance::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// Which tags changed between two nights, from what to what, on which resources, and what these cost: removed required tags
    /// first.
    #[tool(
        name = "detect_tag_drift",
        title = "Detect tag drift",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn detect_tag_drift(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<detect_tag_drift::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<detect_tag_drift::Body>>, ToolFailure> {
        detect_tag_drift::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// Why the compliance score moved between two nights: new and removed resources, tags added, tags removed or changed, another
    /// policy, other scopes or coverage. The parts add up to the change.
    #[tool(
        name = "explain_compliance_change",
        title = "Explain compliance change",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn explain_compliance_change(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<explain_compliance_change::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<explain_compliance_change::Body>>, ToolFailure> {
        explain_compliance_change::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// Resources without any user tag and resources that lack a required one, those that cost most first, with what they cost a
    /// month and their age. Answers from the newest snapshot. Resources whose tags could not be read are counted as unknown and
    /// not listed.
    #[tool(
        name = "find_untagged_resources",
        title = "Find untagged resources",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn find_untagged_resources(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<find_untagged_resources::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<find_untagged_resources::Body>>, ToolFailure> {
        find_untagged_resources::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// One page on how the estate is tagged: score by count and by cost, what moved since last month and why, the most frequent and
    /// the costliest violations, the worst accounts and types, what was not seen, and what to tag first. As data, as CSV for
    /// spreadsheets, or as Markdown to be handed on.
    #[tool(
        name = "generate_compliance_report",
        title = "Generate compliance report",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn generate_compliance_report(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<generate_compliance_report::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<generate_compliance_report::Body>>, ToolFailure> {
        generate_compliance_report::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// What of the bill cannot be attributed, for required tags are missing or wrong: total, attributable and unattributable
    /// spend, every other part of the bill, the gap by resource type, region or account, each required tag by itself, and the same
    /// spend by the tags of today. From Cost Explorer as the scanner read it; the parts add up to the bill to the cent.
    #[tool(
        name = "get_cost_attribution_gap",
        title = "Get cost attribution gap",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn get_cost_attribution_gap(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<get_cost_attribution_gap::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<get_cost_attribution_gap::Body>>, ToolFailure> {
        get_cost_attribution_gap::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// How compliance moved over days, weeks or months: score, violations and resources at the end of each period, what began,
    /// came back and was fixed in it, the median days to fix, what could not be attributed, and whether it gets better. From
    /// the nights that the ledger keeps.
    #[tool(
        name = "get_violation_history",
        title = "Get violation history",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn get_violation_history(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<get_violation_history::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<get_violation_history::Body>>, ToolFailure> {
        get_violation_history::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// The tagging policy in force, or that of a day: required and optional tags, allowed values, patterns, the resource types each
    /// applies to, naming rules and exemptions.
    #[tool(
        name = "get_tagging_policy",
        title = "Get tagging policy",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn get_tagging_policy(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<get_tagging_policy::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<get_tagging_policy::Reply>, ToolFailure> {
        get_tagging_policy::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// The fewest tag changes that reach a compliance score by cost or by count: which resources, which values (with a measured
    /// confidence, or left to a person), and on request the text to run: AWS CLI, Terraform or Cloud Custodian. Changes nothing.
    #[tool(
        name = "plan_fixes",
        title = "Plan fixes",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn plan_fixes(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<plan_fixes::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<plan_fixes::Body>>, ToolFailure> {
        plan_fixes::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// What a draft of a tagging policy would come to on the estate as the newest snapshot knows it: new score by count and by cost,
    /// who would newly fail or pass by type, account and reason, examples, and on request the last nights. Changes nothing.
    #[tool(
        name = "simulate_policy",
        title = "Simulate policy",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn simulate_policy(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<simulate_policy::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<simulate_policy::Body>>, ToolFailure> {
        simulate_policy::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// Values for the required tags that one resource lacks or has wrongly, each with a confidence measured on this estate and the
    /// counts that speak for it: its stack, group, cluster, security groups, role, other tags, name and account. Reads the
    /// resource from AWS now. Suggests nothing where nothing is clear, and says so.
    #[tool(
        name = "suggest_tags",
        title = "Suggest tags",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn suggest_tags(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<suggest_tags::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<suggest_tags::Body>>, ToolFailure> {
        suggest_tags::answer(&self.ledger, reach.keep(arguments)?).await.map(Json)
    }

    /// Values for the missing required tags of many resources, those that cost most first, each with a measured confidence, and the
    /// same summed up as changes to make. From the newest snapshot; filter by type, region, account or tag.
    #[tool(
        name = "suggest_tags_bulk",
        title = "Suggest tags for many",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn suggest_tags_bulk(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<suggest_tags_bulk::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<suggest_tags_bulk::Body>>, ToolFailure> {
        suggest_tags_bulk::answer(&self.ledger, reach.keep(arguments)?).map(Json)
    }

    /// Whether named resources comply with the policy in force, by their tags as they are in AWS now: for each ARN its
    /// violations with the value to write instead, and what the last snapshot said where that differs. The only tool beside
    /// suggest_tags that asks AWS; answers are kept for a minute.
    #[tool(
        name = "validate_resource_tags",
        title = "Validate resource tags",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn validate_resource_tags(
        &self,
        Parameters(Checked(arguments)): Parameters<Checked<validate_resource_tags::Arguments>>,
        Extension(reach): Extension<Reach>,
    ) -> Result<Json<Answer<validate_resource_tags::Body>>, ToolFailure> {
        validate_resource_tags::answer(&self.ledger, reach.keep(arguments)?).await.map(Json)
    }
}
