"""The command line of the MCP Inspector, over HTTP and stdio."""

import json
import re
import subprocess

from answers import TOOLS
from checks import check, contains, equal
from programs import POLICY, REPOSITORY, environment

INSPECTOR = REPOSITORY / ".venv" / "inspector" / "node_modules" / ".bin" / "mcp-inspector"
NODE = REPOSITORY / ".venv" / "node"
ENDS_WITHIN = 90
COMPLAINT = re.compile(r"warn|error|unknown format|deprecat|invalid", re.IGNORECASE)
TOOL_ERROR = 5


def inspect(home, *arguments):
    command = [NODE, INSPECTOR, "--cli", *map(str, arguments)]
    return subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=ENDS_WITHIN)


def over_http(address, era):
    return [f"{address}/mcp", "--protocol-era", era]


def over_stdio(binary, store):
    return [binary, "mcp", "--store", store, "--policy", POLICY]


def lists_strictly(home, *target):
    """tools/list --strict: every tool, and not a word of complaint."""
    ended = inspect(home, *target, "--method", "tools/list", "--strict")
    equal(ended.returncode, 0, f"the exit code; it said {ended.stderr}")
    equal(COMPLAINT.findall(ended.stderr), [], f"complaints in {ended.stderr!r}")
    equal([tool["name"] for tool in json.loads(ended.stdout)["tools"]], TOOLS, "the list of tools")


def calls(home, *target):
    """tools/call: an answer, validated by the Inspector against the output schema."""
    ended = inspect(home, *target, "--method", "tools/call", "--tool-name", "check_tag_compliance", "--tool-arg", "limit=3")
    equal(ended.returncode, 0, f"the exit code; it said {ended.stderr}")
    equal(COMPLAINT.findall(ended.stderr), [], f"complaints in {ended.stderr!r}")
    equal(len(json.loads(ended.stdout)["structuredContent"]["violations"]), 3, "the number of rows")


@check("the Inspector lists the tools strictly over HTTP in both eras, without a complaint")
def http_lists(address, home):
    for era in ("legacy", "modern"):
        lists_strictly(home, *over_http(address, era))


@check("the Inspector lists the tools strictly over stdio, without a complaint")
def stdio_lists(binary, store, home):
    lists_strictly(home, *over_stdio(binary, store))


@check("the Inspector calls a tool over HTTP in both eras")
def http_calls(address, home):
    for era in ("legacy", "modern"):
        calls(home, *over_http(address, era))


@check("the Inspector calls a tool over stdio")
def stdio_calls(binary, store, home):
    calls(home, *over_stdio(binary, store))


@check("the Inspector tells a refused argument as an error of the tool")
def refusal(address, home):
    call = ["--method", "tools/call", "--tool-name", "check_tag_compliance", "--tool-arg", "limit=0"]
    ended = inspect(home, *over_http(address, "legacy"), *call)
    equal(ended.returncode, TOOL_ERROR, f"the exit code; it said {ended.stderr}")
    contains(ended.stdout + ended.stderr, "limit", "1 to 100")
