"""The HTTP interface other than MCP: health, refused requests, and exit codes."""

import json
import shutil
import socket
import subprocess

from checks import check, contains, equal
from programs import POLICY, environment, get, request, run_server

EXIT_TIMEOUT = 30
PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
MCP_HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def post(address, **headers):
    """Sends tools/list as clients before 2026-07-28 do. Returns the status and text."""
    status, _, text = request(f"{address}/mcp", "POST", {**MCP_HEADERS, **headers}, PING)
    return status, text


def run_failing_command(binary, home, *arguments):
    """Runs a command that must not start a server. Returns its exit code and standard error."""
    command = [binary, *map(str, arguments)]
    ended = subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=EXIT_TIMEOUT)
    equal(ended.stdout, "", "standard output")
    return ended.returncode, ended.stderr


@check("/health returns 200 with status, version, cloud providers, uptime and snapshot age")
def health_is_200_with_fields(address, store):
    status, text = get(f"{address}/health")
    equal(status, 200, "the status")
    health = json.loads(text)
    equal(health["status"], "healthy", "status")
    equal(health["cloud_providers"], ["aws"], "cloud_providers")
    assert health["version"] and health["uptime_seconds"] >= 0, health
    assert 0 < health["snapshot"]["age_seconds"] < 26 * 3600, health
    equal(health["snapshot"]["complete"], True, "complete")


@check("without a ledger /health returns 503 with a reason, and tool errors name the command to run")
def health_is_503_without_ledger(binary, home):
    with run_server(binary, home / "nothing.sqlite", home) as address:
        status, text = get(f"{address}/health")
        equal(status, 503, "the status")
        health = json.loads(text)
        equal(health["status"], "unhealthy", "status")
        contains(health["reason"], "tagledger scan")
        call = {**PING, "method": "tools/call", "params": {"name": "check_tag_compliance", "arguments": {}}}
        _, _, answer = request(f"{address}/mcp", "POST", MCP_HEADERS, call)
        result = json.loads(answer)["result"]
        equal(result["isError"], True, "isError")
        contains(result["content"][0]["text"], "tagledger scan")


@check("a ledger that is created later is used without a restart")
def ledger_created_later_is_used(binary, store, home):
    later = home / "later.sqlite"
    with run_server(binary, later, home) as address:
        equal(get(f"{address}/health")[0], 503, "the status before")
        shutil.copy(store, later)
        equal(get(f"{address}/health")[0], 200, "the status after")


@check("/health returns 503 if the snapshot is older than --max-age-hours")
def health_is_503_for_old_snapshot(binary, store, home):
    with run_server(binary, store, home, "--max-age-hours", "1") as address:
        status, text = get(f"{address}/health")
        equal(status, 503, "the status")
        contains(json.loads(text)["reason"], "older than 1 h")


@check("/health returns 503 if the file is not a ledger, and does not reveal the path")
def health_is_503_for_foreign_file(binary, home):
    (home / "text.sqlite").write_text("this is no database, but it is long enough to have a header " * 20)
    with run_server(binary, home / "text.sqlite", home) as address:
        status, text = get(f"{address}/health")
        equal(status, 503, "the status")
        assert str(home) not in text, text


@check("a port in use exits with code 1 and one line that names the address")
def port_in_use_exits_1(binary, store, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, text = run_failing_command(binary, home, "server", "--store", store, "--policy", POLICY, "--listen", address, "--log", "error")
    equal(code, 1, "the exit code")
    equal(len(text.strip().splitlines()), 1, f"the number of lines of {text!r}")
    contains(text, address, "in use", "--listen")


@check("an invalid address exits with code 2 and the name of the flag")
def invalid_address_exits_2(binary, home):
    code, text = run_failing_command(binary, home, "server", "--listen", "everywhere")
    equal(code, 2, "the exit code")
    contains(text, "--listen", "everywhere")


@check("a loopback request is answered with and without a local Origin")
def loopback_origin_is_accepted(address):
    port = address.rsplit(":", 1)[1]
    for headers in ({}, {"Origin": address}, {"Origin": "http://localhost:3000"}, {"Host": f"localhost:{port}"}):
        status, text = post(address, **headers)
        equal(status, 200, f"the status with {headers}: {text}")


@check("a foreign Origin gets status 403")
def foreign_origin_gets_403(address):
    for origin in ("https://evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example:80", "null"):
        status, text = post(address, Origin=origin)
        equal(status, 403, f"the status with Origin {origin}: {text}")


@check("a foreign Host gets status 403")
def foreign_host_gets_403(address):
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"):
        status, text = post(address, Host=host)
        equal(status, 403, f"the status with Host {host}: {text}")


@check("GET and DELETE of /mcp return 405, and no session ID is sent")
def get_and_delete_return_405(address):
    for method in ("GET", "DELETE"):
        status, _, _ = request(f"{address}/mcp", method, {"Accept": "text/event-stream"})
        equal(status, 405, f"the status of {method}")
    _, headers, _ = request(f"{address}/mcp", "POST", MCP_HEADERS, PING)
    assert "mcp-session-id" not in headers, headers


@check("a body over 1 MiB gets 413, malformed JSON gets 4xx, and the server still answers")
def invalid_bodies_are_refused(address):
    status, _, _ = request(f"{address}/mcp", "POST", MCP_HEADERS, {**PING, "params": {"x": "y" * (1 << 20)}})
    equal(status, 413, "the status of a large body")
    for body in ("not an object", [PING, PING], {"jsonrpc": "2.0"}):
        status, _, text = request(f"{address}/mcp", "POST", MCP_HEADERS, body)
        assert 400 <= status < 500, f"{status} {text}"
    equal(post(address)[0], 200, "the status afterwards")


@check("an unknown tool and an unknown method return JSON-RPC errors")
def unknown_tool_and_method_return_errors(address):
    call = {**PING, "method": "tools/call", "params": {"name": "drop_tables", "arguments": {}}}
    for message in (call, {**PING, "method": "tools/nonsense"}):
        _, _, text = request(f"{address}/mcp", "POST", MCP_HEADERS, message)
        error = json.loads(text).get("error")
        assert error and error["code"] in (-32602, -32601), text


@check("an unknown path returns 404")
def unknown_path_returns_404(address):
    equal(get(f"{address}/etc/passwd")[0], 404, "the status")


@check("over stdio, standard output contains protocol messages only, and the end of input stops the program")
def stdio_output_is_protocol_only(binary, store, home):
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    command = [binary, "--log", "trace", "mcp", "--store", store]
    program = subprocess.Popen(
        [str(part) for part in command], cwd=home, env=environment(home), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    try:
        for message in messages:
            program.stdin.write(json.dumps(message) + "\n")
            program.stdin.flush()
        found = [json.loads(program.stdout.readline()) for _ in range(2)]
        rest, _ = program.communicate(timeout=EXIT_TIMEOUT)
    finally:
        program.kill()
    equal([answer["id"] for answer in found], [1, 2], "the ids")
    equal(found[0]["result"]["protocolVersion"], "2025-06-18", "the version")
    equal(rest, "", "what follows")
    equal(program.returncode, 0, "the exit code")
