"""The command line of the MCP Inspector, over HTTP and stdio."""

import json
import re
import subprocess

from answers import TOOLS
from checks import check, contains, equal
from programs import POLICY, REPOSITORY, environment

INSPECTOR = REPOSITORY / ".venv" / "inspector" / "node_modules" / ".bin" / "mcp-inspector"
NODE = REPOSITORY / ".venv" / "node"
TIMEOUT = 90
WARNING = re.compile(r"warn|error|unknown format|deprecat|invalid", re.IGNORECASE)
TOOL_ERROR = 5


def run_inspector(home, *arguments):
    command = [NODE, INSPECTOR, "--cli", *map(str, arguments)]
    return subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=TIMEOUT)


def http_target(address, era):
    return [f"{address}/mcp", "--protocol-era", era]


def stdio_target(binary, store):
    return [binary, "mcp", "--store", store, "--policy", POLICY]


def expect_strict_tool_list(home, *target):
    """Runs tools/list --strict: it returns every tool without a warning."""
    ended = run_inspector(home, *target, "--method", "tools/list", "--strict")
    equal(ended.returncode, 0, f"the exit code; it said {ended.stderr}")
    equal(WARNING.findall(ended.stderr), [], f"complaints in {ended.stderr!r}")
    equal([tool["name"] for tool in json.loads(ended.stdout)["tools"]], TOOLS, "the list of tools")


def expect_valid_tool_call(home, *target):
    """Runs tools/call. The Inspector validates the answer against the output schema."""
    ended = run_inspector(home, *target, "--method", "tools/call", "--tool-name", "check_tag_compliance", "--tool-arg", "limit=3")
    equal(ended.returncode, 0, f"the exit code; it said {ended.stderr}")
    equal(WARNING.findall(ended.stderr), [], f"complaints in {ended.stderr!r}")
    equal(len(json.loads(ended.stdout)["structuredContent"]["violations"]), 3, "the number of rows")


@check("MCP Inspector: tools/list --strict over HTTP has no warning in either protocol era")
def tool_list_over_http(address, home):
    for era in ("legacy", "modern"):
        expect_strict_tool_list(home, *http_target(address, era))


@check("MCP Inspector: tools/list --strict over stdio has no warning")
def tool_list_over_stdio(binary, store, home):
    expect_strict_tool_list(home, *stdio_target(binary, store))


@check("MCP Inspector: tools/call over HTTP succeeds in both protocol eras")
def tool_call_over_http(address, home):
    for era in ("legacy", "modern"):
        expect_valid_tool_call(home, *http_target(address, era))


@check("MCP Inspector: tools/call over stdio succeeds")
def tool_call_over_stdio(binary, store, home):
    expect_valid_tool_call(home, *stdio_target(binary, store))


@check("MCP Inspector: an invalid argument is reported as a tool error")
def invalid_argument_is_tool_error(address, home):
    call = ["--method", "tools/call", "--tool-name", "check_tag_compliance", "--tool-arg", "limit=0"]
    ended = run_inspector(home, *http_target(address, "legacy"), *call)
    equal(ended.returncode, TOOL_ERROR, f"the exit code; it said {ended.stderr}")
    contains(ended.stdout + ended.stderr, "limit", "1 to 100")
