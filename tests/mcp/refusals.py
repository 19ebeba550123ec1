"""What cannot be answered: tool errors in words that help, and a server that goes on."""

from answers import CHECKING, FINDING, HISTORY, POLICY_TOOL, ask
from checks import check, contains


async def refused(client, tool, *words, **arguments):
    """A tool error whose text has all the words; a protocol error would raise."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, f"answered: {result.content[0].text[:300]}"
    text = result.content[0].text
    contains(text, *words)
    assert len(text) < 2000, f"{len(text)} characters"
    for name in ("rmcp", "serde", "panicked", "Some(", "rusqlite"):
        assert name not in text, f"`{name}` in: {text}"


@check("an unknown argument is refused with those that exist")
async def unknown_argument(client):
    await refused(client, CHECKING, "nope", "resource_types", "severity", nope=1)
    await refused(client, FINDING, "nope", "regions", "min_age_days", nope=1)
    await refused(client, POLICY_TOOL, "nope", nope=1)
    await refused(client, CHECKING, "zone", "region", "account_id", filters={"zone": "a"})


@check("a value of the wrong type is refused with what it should be")
async def wrong_type(client):
    await refused(client, CHECKING, "string", resource_types="ec2:instance")
    await refused(client, CHECKING, limit="many")
    await refused(client, FINDING, min_age_days=1.5)
    await refused(client, CHECKING, "errors_only", "warnings_only", "all", severity="critical")


@check("an unknown resource type is refused with those that exist")
async def unknown_resource_type(client):
    for tool in (CHECKING, FINDING):
        await refused(client, tool, "ec2:elephant", "ec2:instance", "s3:bucket", resource_types=["ec2:elephant"])


@check("a region that was not scanned is refused with those that were")
async def unknown_region(client):
    await refused(client, CHECKING, "ap-south-1", "us-east-1", filters={"region": "ap-south-1"})
    await refused(client, FINDING, "ap-south-1", "us-east-1", regions=["us-east-1", "ap-south-1"])
    await refused(client, CHECKING, "mars", filters={"region": "mars"})


@check("an account that was not scanned is refused, with what tells those that were")
async def unknown_account(client):
    await refused(client, CHECKING, "999999999999", "check_tag_compliance lists the scanned accounts", filters={"account_id": "999999999999"})
    await refused(client, CHECKING, "12-digit", filters={"account_id": "12"})


@check("a page of no rows or of ten thousand is refused with the bounds")
async def limits(client):
    for tool in (CHECKING, FINDING):
        for limit in (0, 101, 10_000, -1):
            await refused(client, tool, "limit", "1 to 100", limit=limit)
        await refused(client, tool, limit=2**63)


@check("a forged cursor is refused with what to pass instead")
async def forged_cursor(client):
    genuine = (await ask(client, CHECKING))["next_cursor"]
    middle = len(genuine) // 2
    altered = genuine[:middle] + ("A" if genuine[middle] != "A" else "B") + genuine[middle + 1:]
    for forged in ("", "AAAA", "not a cursor", altered, genuine[:-1], genuine * 2, "é" * 5000):
        await refused(client, CHECKING, "cursor", "next_cursor", cursor=forged)


@check("the cursor of another question is refused")
async def foreign_cursor(client):
    genuine = (await ask(client, CHECKING))["next_cursor"]
    await refused(client, CHECKING, "cursor", cursor=genuine, severity="errors_only")
    await refused(client, CHECKING, "cursor", cursor=genuine, resource_types=["ec2:instance"])
    await refused(client, FINDING, "cursor", cursor=genuine)


@check("a cost threshold that is none, or that lists by something else than cost, is refused")
async def cost_threshold(client):
    await refused(client, FINDING, "min_cost_threshold", min_cost_threshold=-1)
    await refused(client, FINDING, "min_cost_threshold", "sort_by", min_cost_threshold=1, sort_by="missing_tags")
    await refused(client, FINDING, "missing_tags", sort_by="age")


@check("an empty list is refused, for it could mean none or all")
async def empty_list(client):
    await refused(client, CHECKING, "resource_types", resource_types=[])
    await refused(client, FINDING, "resource_types", resource_types=[])
    await refused(client, FINDING, "regions", regions=[])


@check("a negative age and one beyond reason are refused with the bounds")
async def ages(client):
    for days in (-1, 10_001):
        await refused(client, FINDING, "min_age_days", "10000", min_age_days=days)


@check("a history of no days, of too many points and of a place unknown is refused with what would do")
async def histories(client):
    for days in (0, -1, 36_501):
        await refused(client, HISTORY, "days_back", "36500", days_back=days)
    await refused(client, HISTORY, "week", "month", group_by="year")
    await refused(client, HISTORY, "time_zone", "Europe/Berlin", time_zone="Mars/Olympus")
    await refused(client, HISTORY, "finding", finding={})
    await refused(client, HISTORY, "filters", finding={"tag": "Owner"}, filters={"region": "eu-west-1"})
    await refused(client, HISTORY, "tag", tag={"key": "Owner", "value": "x"}, resource_types=["s3:bucket"])


@check("after all these refusals the server still answers")
async def still_healthy(client):
    assert (await ask(client, CHECKING))["total_resources"] > 0
