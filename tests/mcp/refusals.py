"""Invalid calls: they return tool errors that explain the remedy, and the server continues."""

from answers import CHECKING, FINDING, HISTORY, POLICY_TOOL, call_tool
from checks import check, contains


async def expect_tool_error(client, tool, *words, **arguments):
    """Expects a tool error whose text contains all the words. A protocol error raises an exception."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, f"answered: {result.content[0].text[:300]}"
    text = result.content[0].text
    contains(text, *words)
    assert len(text) < 2000, f"{len(text)} characters"
    for name in ("rmcp", "serde", "panicked", "Some(", "rusqlite"):
        assert name not in text, f"`{name}` in: {text}"


@check("an unknown argument is refused, and the error lists the valid ones")
async def unknown_argument(client):
    await expect_tool_error(client, CHECKING, "nope", "resource_types", "severity", nope=1)
    await expect_tool_error(client, FINDING, "nope", "regions", "min_age_days", nope=1)
    await expect_tool_error(client, POLICY_TOOL, "nope", nope=1)
    await expect_tool_error(client, CHECKING, "zone", "region", "account_id", filters={"zone": "a"})


@check("a value of the wrong type is refused, and the error names the expected type or values")
async def wrong_type(client):
    await expect_tool_error(client, CHECKING, "string", resource_types="ec2:instance")
    await expect_tool_error(client, CHECKING, limit="many")
    await expect_tool_error(client, FINDING, min_age_days=1.5)
    await expect_tool_error(client, CHECKING, "errors_only", "warnings_only", "all", severity="critical")


@check("an unknown resource type is refused, and the error lists the valid ones")
async def unknown_resource_type(client):
    for tool in (CHECKING, FINDING):
        await expect_tool_error(client, tool, "ec2:elephant", "ec2:instance", "s3:bucket", resource_types=["ec2:elephant"])


@check("a region that was not scanned is refused, and the error lists the scanned ones")
async def unknown_region(client):
    await expect_tool_error(client, CHECKING, "ap-south-1", "us-east-1", filters={"region": "ap-south-1"})
    await expect_tool_error(client, FINDING, "ap-south-1", "us-east-1", regions=["us-east-1", "ap-south-1"])
    await expect_tool_error(client, CHECKING, "mars", filters={"region": "mars"})


@check("an account that was not scanned is refused, and the error names the tool that lists the accounts")
async def unknown_account(client):
    await expect_tool_error(client, CHECKING, "999999999999", "check_tag_compliance lists the scanned accounts", filters={"account_id": "999999999999"})
    await expect_tool_error(client, CHECKING, "12-digit", filters={"account_id": "12"})


@check("a limit outside 1 to 100 is refused, and the error names the range")
async def limit_out_of_range(client):
    for tool in (CHECKING, FINDING):
        for limit in (0, 101, 10_000, -1):
            await expect_tool_error(client, tool, "limit", "1 to 100", limit=limit)
        await expect_tool_error(client, tool, limit=2**63)


@check("a forged cursor is refused, and the error refers to next_cursor")
async def forged_cursor(client):
    genuine = (await call_tool(client, CHECKING))["next_cursor"]
    middle = len(genuine) // 2
    altered = genuine[:middle] + ("A" if genuine[middle] != "A" else "B") + genuine[middle + 1:]
    for forged in ("", "AAAA", "not a cursor", altered, genuine[:-1], genuine * 2, "é" * 5000):
        await expect_tool_error(client, CHECKING, "cursor", "next_cursor", cursor=forged)


@check("a cursor of a call with other arguments is refused")
async def cursor_of_other_call(client):
    genuine = (await call_tool(client, CHECKING))["next_cursor"]
    await expect_tool_error(client, CHECKING, "cursor", cursor=genuine, severity="errors_only")
    await expect_tool_error(client, CHECKING, "cursor", cursor=genuine, resource_types=["ec2:instance"])
    await expect_tool_error(client, FINDING, "cursor", cursor=genuine)


@check("an invalid cost threshold, or one with another order than cost, is refused")
async def invalid_cost_threshold(client):
    await expect_tool_error(client, FINDING, "min_cost_threshold", min_cost_threshold=-1)
    await expect_tool_error(client, FINDING, "min_cost_threshold", "sort_by", min_cost_threshold=1, sort_by="missing_tags")
    await expect_tool_error(client, FINDING, "missing_tags", sort_by="age")


@check("an empty list argument is refused as ambiguous")
async def empty_list(client):
    await expect_tool_error(client, CHECKING, "resource_types", resource_types=[])
    await expect_tool_error(client, FINDING, "resource_types", resource_types=[])
    await expect_tool_error(client, FINDING, "regions", regions=[])


@check("an age out of range is refused, and the error names the maximum")
async def age_out_of_range(client):
    for days in (-1, 10_001):
        await expect_tool_error(client, FINDING, "min_age_days", "10000", min_age_days=days)


@check("an invalid history argument is refused, and the error names a valid one")
async def invalid_history_arguments(client):
    for days in (0, -1, 36_501):
        await expect_tool_error(client, HISTORY, "days_back", "36500", days_back=days)
    await expect_tool_error(client, HISTORY, "week", "month", group_by="year")
    await expect_tool_error(client, HISTORY, "time_zone", "Europe/Berlin", time_zone="Mars/Olympus")
    await expect_tool_error(client, HISTORY, "finding", finding={})
    await expect_tool_error(client, HISTORY, "filters", finding={"tag": "Owner"}, filters={"region": "eu-west-1"})
    await expect_tool_error(client, HISTORY, "tag", tag={"key": "Owner", "value": "x"}, resource_types=["s3:bucket"])


@check("the server answers after all refused calls")
async def server_answers_after_refusals(client):
    assert (await call_tool(client, CHECKING))["total_resources"] > 0
