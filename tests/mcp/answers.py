"""Answers that the official Python client receives, compared with the raw rows of the ledger on every page."""

import csv
import io
import json
from collections import Counter

from checks import check, contains, equal
from jsonschema import Draft202012Validator
from truth import billed_total_and_gap

CHECKING, FINDING, POLICY_TOOL = "check_tag_compliance", "find_untagged_resources", "get_tagging_policy"
COSTS, HISTORY, REPORT = "get_cost_attribution_gap", "get_violation_history", "generate_compliance_report"
# Tools that need no arguments, and tools that need arguments.
ANSWERING = [CHECKING, "detect_tag_drift", "explain_compliance_change", FINDING, REPORT, COSTS, POLICY_TOOL, HISTORY,
             "plan_fixes", "suggest_tags_bulk"]
TOOLS = sorted([*ANSWERING, "simulate_policy", "suggest_tags", "validate_resource_tags"])
GROUPINGS = ("by_resource_type", "by_region", "by_account")
BYTES_PER_TOKEN = 4
MAX_TOKENS = 4000
MAX_TOKENS_OF_TOOL_LIST = 6000
PROVENANCE = {"as_of", "policy", "coverage"}
STATES = ("compliant", "non_compliant", "not_applicable", "unknown", "exempt")


async def call_tool(client, tool, **arguments):
    """Calls a tool and returns the structured content. Fails if the result is an error."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def pages(client, tool, rows, limit=100, **arguments):
    """Returns every page of a list. `rows` is the name of the field with the rows."""
    cursor = {}
    while True:
        answer = await call_tool(client, tool, limit=limit, **arguments, **cursor)
        assert len(answer[rows]) <= limit, f"{len(answer[rows])} rows on a page of {limit}"
        yield answer
        if answer["next_cursor"] is None:
            equal(answer["remaining"], 0, "remaining on the last page")
            return
        assert answer[rows], "a page without rows has a next_cursor"
        cursor = {"cursor": answer["next_cursor"]}


async def list_all_rows(client, tool, rows, **arguments):
    """Returns the rows of all pages and the first page. Fails if a resource is on two pages."""
    found = [answer async for answer in pages(client, tool, rows, **arguments)]
    shown = 0
    for answer in found:
        shown += len(answer[rows])
        equal(answer["remaining"], sum(len(later[rows]) for later in found) - shown, "remaining")
    every = [row for answer in found for row in answer[rows]]
    twice = [arn for arn, times in Counter(row["resource_arn"] for row in every).items() if times > 1]
    equal(twice, [], "resources listed twice")
    return every, found[0]


async def read_full_schema(client, tool):
    """Returns the full output schema of a tool."""
    read = await client.read_resource(f"tagledger://schema/{tool}")
    return json.loads(read.contents[0].text)


@check("tools/list returns every tool in order, read-only, described, with an input and an output schema")
async def tools_list_is_complete(client):
    tools = (await client.list_tools()).tools
    equal([tool.name for tool in tools], TOOLS, "the list of tools")
    for tool in tools:
        assert tool.description and tool.title, tool.name
        assert tool.annotations.read_only_hint is True, tool.name
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            equal(schema["type"], "object", f"the type of a schema of {tool.name}")


def types(schema, whole):
    """Returns the parts of a schema that define the types of a value."""
    schema = whole["$defs"][schema["$ref"].rsplit("/")[-1]] if "$ref" in schema else schema
    return schema["type"] if "type" in schema else [types(choice, whole) for choice in schema["anyOf"]]


@check("the listed output schema has the fields and the types of the full schema")
async def listed_schema_matches_full_schema(client):
    for tool in (await client.list_tools()).tools:
        whole, outline = await read_full_schema(client, tool.name), tool.output_schema["properties"]
        Draft202012Validator.check_schema(whole)
        equal(outline.keys(), whole["properties"].keys(), f"the fields of {tool.name}")
        assert set(whole["required"]) <= outline.keys(), tool.name
        for name, field in outline.items():
            equal(types(field, {}), types(whole["properties"][name], whole), f"the types of {name} of {tool.name}")


def subschemas(schema):
    """Yields the schema and every schema that it contains."""
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from subschemas(inner)


@check("every default is valid in its schema, and no type is a list")
async def schema_defaults_are_valid(client):
    for tool in (await client.list_tools()).tools:
        for schema in (tool.input_schema, tool.output_schema, await read_full_schema(client, tool.name)):
            for inner in subschemas(schema):
                assert not isinstance(inner.get("type"), list), inner
                if "default" in inner and not isinstance(inner["default"], dict):
                    validator = Draft202012Validator({**inner, "$defs": schema.get("$defs", {})})
                    equal([fault.message for fault in validator.iter_errors(inner["default"])], [], str(inner))


@check("the server returns its name and instructions that name every tool")
async def server_info_is_complete(client):
    equal(client.server_info.name, "tagledger", "the name of the server")
    contains(client.instructions, *TOOLS, "untrusted")


@check("tools/list is smaller than 6,000 tokens")
async def tool_list_fits_token_limit(client):
    list_all_rows = (await client.list_tools()).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert all("outputSchema" in tool and "inputSchema" in tool for tool in list_all_rows["tools"]), list_all_rows["tools"][0].keys()
    size = len(json.dumps(list_all_rows, separators=(",", ":")))
    assert size < MAX_TOKENS_OF_TOOL_LIST * BYTES_PER_TOKEN, f"{size} bytes"


@check("text and structured content are equal, valid in the schema, and smaller than 4,000 tokens")
async def answers_are_valid_and_fit_token_limit(client):
    for tool in ANSWERING:
        result = await client.call_tool(tool, {})
        assert not result.is_error, result
        equal(len(result.content), 1, f"the number of contents of {tool}")
        text = result.content[0].text
        equal(json.loads(text), result.structured_content, f"the text of {tool}")
        Draft202012Validator(await read_full_schema(client, tool)).validate(result.structured_content)
        size = len(text.encode())
        assert size < MAX_TOKENS * BYTES_PER_TOKEN, f"{tool}: {size} bytes"
        missing = PROVENANCE - result.structured_content.keys()
        equal(missing, set(), f"missing in {tool}")


@check("a page of 100 rows is valid in the schema")
async def full_page_matches_schema(client):
    for tool in (CHECKING, FINDING):
        Draft202012Validator(await read_full_schema(client, tool)).validate(await call_tool(client, tool, limit=100))


@check("check_tag_compliance returns every field of the specification")
async def compliance_fields_are_complete(client):
    answer = await call_tool(client, CHECKING)
    equal({"compliance_score", "total_resources", "compliant_resources", "violations"} - answer.keys(), set(), "missing")
    row_fields = {"resource_id", "resource_arn", "resource_type", "violation_type", "missing_tags", "severity"}
    for row in answer["violations"]:
        equal((row_fields | {"cost_impact_monthly"}) - row.keys(), set(), "missing in a violation")
        assert row["violation_type"] in ("missing_required_tag", "invalid_value", "invalid_format"), row
        assert row["severity"] in ("error", "warning"), row
        assert row["resource_arn"].endswith(row["resource_id"]), row


@check("find_untagged_resources returns every field of the specification")
async def untagged_fields_are_complete(client):
    answer = await call_tool(client, FINDING)
    equal({"untagged_resources", "total_cost_impact"} - answer.keys(), set(), "missing")
    row_fields = {"resource_id", "resource_arn", "resource_type", "region", "tags", "monthly_cost", "age_days"}
    for row in answer["untagged_resources"]:
        equal(row_fields - row.keys(), set(), "missing in a row")
        assert isinstance(row["tags"], dict) and row["age_days"] >= 0, row


@check("get_violation_history returns every field of the specification, and its newest point equals the newest snapshot")
async def history_fields_are_complete(client):
    now = await call_tool(client, CHECKING)
    for group_by in ("day", "week", "month"):
        answer = await call_tool(client, HISTORY, days_back=90, group_by=group_by)
        equal({"history", "trend", "improvement_rate"} - answer.keys(), set(), "missing")
        for point in answer["history"]:
            equal({"date", "compliance_score", "violations"} - point.keys(), set(), "missing in a point")
        newest = answer["history"][-1]
        equal(newest["compliance_score"], now["compliance_score"], "the score")
        equal(newest["violations"], now["error_findings"], "violations")
        equal(newest["total_resources"], now["total_resources"], "resources")
        equal(answer["trend"], "improving", "the trend of the demo")


@check("generate_compliance_report returns every field of the specification, and the CSV and Markdown documents have the same figures")
async def report_fields_are_complete(client):
    now = await call_tool(client, CHECKING)
    report = await call_tool(client, REPORT)
    named = {"report_date", "overall_compliance", "summary", "top_violations", "recommendations"}
    equal(named - report.keys(), set(), "missing")
    equal({"total_resources", "compliant", "non_compliant", "cost_attribution_gap"} - report["summary"].keys(), set(), "missing")
    equal(report["overall_compliance"], now["compliance_score"], "the score")
    assert report["recommendations"] and all(isinstance(text, str) for text in report["recommendations"])
    for row in report["top_violations"]:
        equal({"violation", "count", "cost_impact"} - row.keys(), set(), "missing in a violation")
    table = (await call_tool(client, REPORT, format="csv"))["document"]
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert table.endswith("\r\n") and all(None not in row and None not in row.values() for row in rows), table
    counts = {row["item"]: int(row["count"]) for row in rows if row["section"] == "violation_by_count"}
    equal(counts, {row["violation"]: row["count"] for row in report["top_violations"]}, "violations of the table")
    page = (await call_tool(client, REPORT, format="markdown", include_recommendations=False))["document"]
    assert page.startswith("# Tag compliance, ") and "What to tag first" not in page, page
    contains(page, f"{report['overall_compliance'] * 100:.1f} %", f"{report['money']['total_cloud_spend']:,.2f}")


@check("explain_compliance_change and detect_tag_drift agree with get_violation_history")
async def change_and_drift_match_history(client):
    points = (await call_tool(client, HISTORY, days_back=60, group_by="month"))["history"]
    explanation = await call_tool(client, "explain_compliance_change")
    parts = sum(round(part["contribution"] * 10_000) for part in explanation["parts"])
    equal(parts, round(explanation["change"] * 10_000), "the sum of the parts")
    equal(explanation["to"]["compliance_score"], points[-1]["compliance_score"], "the newest score")
    drift = await call_tool(client, "detect_tag_drift")
    equal(drift["to"]["snapshot_id"], explanation["to"]["snapshot_id"], "the later snapshot")
    equal(len(drift["drifts"]) + drift["remaining"] > 0, True, "whether tags changed in the last snapshot of the demo")


def cents(amount):
    """Rounds an amount as the tools do, to two decimals."""
    whole = round(amount * 100)
    assert abs(amount * 100 - whole) < 0.0001, amount
    return whole


@check("get_cost_attribution_gap returns every field of the specification for each grouping")
async def cost_fields_are_complete(client):
    named = {"total_cloud_spend", "attributable_spend", "attribution_gap", "attribution_gap_percentage", "breakdown"}
    for grouping in GROUPINGS:
        answer = await call_tool(client, COSTS, grouping=grouping)
        equal(named - answer.keys(), set(), "missing")
        for row in answer["breakdown"]:
            equal({"category", "unattributable_cost", "resource_count"} - row.keys(), set(), "missing in a category")


@check("the bill adds up to the cent by bucket and by grouping, and equals the rows of the ledger")
async def bill_adds_up_to_the_cent(client, store):
    for grouping in GROUPINGS:
        answer = await call_tool(client, COSTS, grouping=grouping)
        period = answer["time_period"]
        total, gap = billed_total_and_gap(store, period["start"], period["end"])
        assert total > 0 and gap > 0, "the demo has no bill"
        equal(cents(answer["total_cloud_spend"]), round(total / 10_000), "total_cloud_spend")
        assert abs(cents(answer["attribution_gap"]) - gap / 10_000) <= 1, answer["attribution_gap"]
        equal(sum(cents(b["amount"]) for b in answer["buckets"]), cents(answer["total_cloud_spend"]), "the buckets")
        parts = sum(cents(row["unattributable_cost"]) for row in answer["breakdown"])
        equal(parts, cents(answer["attribution_gap"]), f"the breakdown {grouping}")
        both = cents(answer["attributable_spend"]) + cents(answer["attribution_gap"])
        equal(both, cents(answer["taggable_spend"]), "taggable_spend")


@check("get_tagging_policy returns every field of the policy file")
async def policy_equals_file(client, policy_file):
    answer, written = await call_tool(client, POLICY_TOOL), json.loads(policy_file.read_text())
    for field in ("version", "last_updated", "tag_naming_rules"):
        equal(answer[field], written[field], field)
    for field in ("required_tags", "optional_tags"):
        equal([rule["name"] for rule in answer[field]], [rule["name"] for rule in written[field]], field)
        for given, rule in zip(answer[field], written[field]):
            equal({key: given.get(key) for key in rule}, rule, f"the rule {rule['name']}")


@check("the states add up, and the score is compliant / (compliant + non_compliant)")
async def states_add_up(client, estate):
    answer = await call_tool(client, CHECKING)
    states = answer["states"]
    equal(set(states), set(STATES), "the states")
    equal(answer["total_resources"], sum(states.values()), "total_resources")
    equal(answer["total_resources"], len(estate), "total_resources by the ledger's rows")
    equal(answer["compliant_resources"], states["compliant"], "compliant_resources")
    judged = states["compliant"] + states["non_compliant"]
    assert abs(answer["compliance_score"] - states["compliant"] / judged) < 0.0001, answer["compliance_score"]
    for part in ("by_resource_type", "by_region", "by_account"):
        for state in STATES:
            equal(sum(group[state] for group in answer[part]), states[state], f"{state} {part}")


@check("every violating resource is on exactly one page for each page size")
async def violations_are_on_one_page_each(client):
    every, first = await list_all_rows(client, CHECKING, "violations")
    equal(len(every), first["violating_resources"], "resources on all pages")
    assert len(every) > 100, f"the demo has only {len(every)} violating resources, one page"
    small, _ = await list_all_rows(client, CHECKING, "violations", limit=37)
    equal(small, every, "the list in pages of 37")


@check("errors_only lists the non-compliant resources with their errors only")
async def errors_only_lists_non_compliant(client):
    every, first = await list_all_rows(client, CHECKING, "violations", severity="errors_only")
    equal(len(every), first["states"]["non_compliant"], "resources with errors")
    equal({finding["severity"] for row in every for finding in row["findings"]}, {"error"}, "severities")


@check("warnings_only changes the list and neither the score nor the counts")
async def warnings_only_keeps_counts(client):
    every, first = await list_all_rows(client, CHECKING, "violations", severity="warnings_only")
    plain = await call_tool(client, CHECKING)
    for field in ("compliance_score", "total_resources", "compliant_resources", "states", "error_findings",
                  "warning_findings", "by_resource_type", "by_region", "by_account", "by_rule", "coverage"):
        equal(first[field], plain[field], field)
    equal({row["severity"] for row in every} - {"warning"}, set(), "other severities")
    equal(len(every), first["violating_resources"], "resources with warnings")


@check("the untagged resources and the missing tags equal the rows of the ledger")
async def untagged_equals_ledger_rows(client, estate, truth):
    every, first = await list_all_rows(client, FINDING, "untagged_resources")
    bare = {row["resource_arn"] for row in every if row["kind"] == "no_tags"}
    equal(bare ^ truth.without_tags, set(), "resources without tags, the difference")
    gaps = {row["resource_arn"]: set(row["missing_tags"]) for row in every if row["kind"] != "no_tags"}
    equal(gaps, truth.lacking, "what is missing where")
    costs = [row["monthly_cost"] for row in every]
    known = [cost for cost in costs if cost is not None]
    totals = {"no_tags": len(truth.without_tags), "missing_required_tags": len(truth.lacking), "unknown": 0}
    equal(first["totals"], totals | {"with_known_cost": len(known)}, "totals")
    assert known and known == sorted(known, reverse=True) and costs[:len(known)] == known, "those that cost most first"
    assert abs(first["total_cost_impact"] - sum(known)) < 0.01 * len(known), first["total_cost_impact"]
    tags = {found.arn: found.tags for found in estate}
    for row in every:
        equal(row["tags"].items() - tags[row["resource_arn"]].items(), set(), f"tags of {row['resource_arn']}")


@check("a resource type filters every count and every list")
async def resource_type_filters_counts_and_lists(client, estate):
    answer = await call_tool(client, CHECKING, resource_types=["s3:bucket"])
    equal(answer["total_resources"], sum(found.resource_type == "s3:bucket" for found in estate), "buckets")
    equal([group["name"] for group in answer["by_resource_type"]], ["s3:bucket"], "the types")
    rows, _ = await list_all_rows(client, CHECKING, "violations", resource_types=["s3:bucket"])
    equal({row["resource_type"] for row in rows} - {"s3:bucket"}, set(), "other types")


@check("a region and an account filter every count and every list")
async def region_and_account_filter_counts_and_lists(client, estate):
    region, account = estate[0].region, estate[0].account
    inside = [found for found in estate if (found.region, found.account) == (region, account)]
    filters = {"region": region, "account_id": account}
    rows, first = await list_all_rows(client, CHECKING, "violations", filters=filters)
    equal(first["total_resources"], len(inside), "resources")
    equal({(row["region"], row["account_id"]) for row in rows} - {(region, account)}, set(), "others")
    every = await call_tool(client, CHECKING)
    assert len(inside) < every["total_resources"], "the filter is not narrow"


@check("regions and min_age_days filter the untagged resources")
async def region_and_age_filter_untagged(client, estate, truth):
    region = estate[0].region
    rows, first = await list_all_rows(client, FINDING, "untagged_resources", regions=[region], min_age_days=365)
    equal([row for row in rows if row["region"] != region or row["age_days"] < 365], [], "others")
    taken = first["as_of"]["taken_at"]
    wanted = truth.untagged_older_than(taken, days=365, region=region)
    equal({row["resource_arn"] for row in rows} ^ wanted, set(), "the difference")
    assert wanted, "no such resource in the demo"


@check("identical calls return identical answers")
async def identical_calls_return_identical_answers(client):
    for tool in ANSWERING:
        equal(await call_tool(client, tool), await call_tool(client, tool), tool)
