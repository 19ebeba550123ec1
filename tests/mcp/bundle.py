"""The bundle manifest and the registry entry, which catalogs and desktop clients read, compared with the program."""

import json
import re
import subprocess

from mcp import Client, StdioServerParameters

from checks import check, equal
from inspector import NODE
from programs import POLICY, REPOSITORY, environment

MANIFEST = REPOSITORY / "deploy" / "mcpb" / "manifest.json"
VALIDATOR = REPOSITORY / ".venv" / "inspector" / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"


@check("the bundle manifest is valid and has the program's version")
def manifest_is_valid(home):
    ended = subprocess.run(
        [NODE, VALIDATOR, "validate", MANIFEST], cwd=home, env=environment(home), capture_output=True, text=True, timeout=60,
    )
    equal(ended.returncode, 0, f"the exit code; it said {ended.stdout} {ended.stderr}")
    equal(json.loads(MANIFEST.read_text())["version"], program_version(), "the version")


def program_version():
    return re.search(r'^version = "([\d.]+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE).group(1)


@check("the registry entry has the program's version and describes a remote server with an API key")
def registry_entry_is_valid():
    entry = json.loads((REPOSITORY / "server.json").read_text())
    equal(entry["version"], program_version(), "the version")
    equal(entry["title"], json.loads(MANIFEST.read_text())["display_name"], "the title")
    equal(bool(re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])), True, "a namespace and a name")
    equal(len(entry["description"]) <= 100, True, "whether the description has at most 100 characters")
    (remote,) = entry["remotes"]
    equal((remote["type"], remote["url"]), ("streamable-http", "https://{host}/mcp"), "the transport")
    (header,) = remote["headers"]
    equal((header["name"], header["value"]), ("Authorization", "Bearer {key}"), "the header with the key")
    equal((set(remote["variables"]), set(header["variables"])), ({"host"}, {"key"}), "the variables that the user must enter")
    equal((header["isSecret"], header["variables"]["key"]["isSecret"]), (True, True), "the secret inputs")


@check("the bundle's command serves the tools of its manifest")
async def bundle_serves_listed_tools(binary, store, home):
    manifest = json.loads(MANIFEST.read_text())
    configuration = manifest["server"]["mcp_config"]
    equal(configuration["command"], "${__dirname}/" + manifest["server"]["entry_point"], "the command")
    given = {"${user_config.store}": str(store), "${user_config.policy}": str(POLICY)}
    arguments = [given.get(argument, argument) for argument in configuration["args"]]
    equal({key for key in given}, {a for a in configuration["args"] if a.startswith("${")}, "the placeholders of the arguments")
    equal(set(manifest["user_config"]), {"store", "policy"}, "the variables that the user must enter")
    server = StdioServerParameters(command=str(binary), args=arguments, env=environment(home), cwd=str(home))
    async with Client(server) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
    equal([tool["name"] for tool in manifest["tools"]], tools, "the tools")
