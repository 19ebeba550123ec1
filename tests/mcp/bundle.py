"""What catalogues and desktop clients read of the program, held against it: the bundle's manifest and the registry's entry."""

import json
import re
import subprocess

from mcp import Client, StdioServerParameters

from checks import check, equal
from inspector import NODE
from programs import POLICY, REPOSITORY, environment

MANIFEST = REPOSITORY / "deploy" / "mcpb" / "manifest.json"
VALIDATOR = REPOSITORY / ".venv" / "inspector" / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"


@check("the bundle's manifest is valid, and of the version of the program")
def valid(home):
    ended = subprocess.run(
        [NODE, VALIDATOR, "validate", MANIFEST], cwd=home, env=environment(home), capture_output=True, text=True, timeout=60,
    )
    equal(ended.returncode, 0, f"the exit code; it said {ended.stdout} {ended.stderr}")
    equal(json.loads(MANIFEST.read_text())["version"], version(), "the version")


def version():
    return re.search(r'^version = "([\d.]+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE).group(1)


@check("the registry's entry is of the version of the program, and leads to a server of one's own with a key")
def entry():
    told = json.loads((REPOSITORY / "server.json").read_text())
    equal(told["version"], version(), "the version")
    equal(told["title"], json.loads(MANIFEST.read_text())["display_name"], "the title")
    equal(bool(re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", told["name"])), True, "a namespace and a name")
    equal(len(told["description"]) <= 100, True, "the registry takes a hundred characters")
    (remote,) = told["remotes"]
    equal((remote["type"], remote["url"]), ("streamable-http", "https://{host}/mcp"), "the transport")
    (header,) = remote["headers"]
    equal((header["name"], header["value"]), ("Authorization", "Bearer {key}"), "what carries the key")
    equal((set(remote["variables"]), set(header["variables"])), ({"host"}, {"key"}), "what is asked for")
    equal((header["isSecret"], header["variables"]["key"]["isSecret"]), (True, True), "what is secret")


@check("what the bundle starts serves the tools that its manifest names")
async def serves(binary, store, home):
    manifest = json.loads(MANIFEST.read_text())
    configuration = manifest["server"]["mcp_config"]
    equal(configuration["command"], "${__dirname}/" + manifest["server"]["entry_point"], "the command")
    given = {"${user_config.store}": str(store), "${user_config.policy}": str(POLICY)}
    arguments = [given.get(argument, argument) for argument in configuration["args"]]
    equal({key for key in given}, {a for a in configuration["args"] if a.startswith("${")}, "what is configured")
    equal(set(manifest["user_config"]), {"store", "policy"}, "what is asked for")
    server = StdioServerParameters(command=str(binary), args=arguments, env=environment(home), cwd=str(home))
    async with Client(server) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
    equal([tool["name"] for tool in manifest["tools"]], tools, "the tools")
