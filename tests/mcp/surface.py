"""The HTTP surface beside MCP itself: health, what is refused, and how the program ends."""

import json
import shutil
import socket
import subprocess

from checks import check, contains, equal
from programs import POLICY, environment, get, request, serving

ENDS_WITHIN = 30
PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
MCP_HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def post(address, **headers):
    """Status and text of a tools/list as clients before 2026-07-28 send it."""
    status, _, text = request(f"{address}/mcp", "POST", {**MCP_HEADERS, **headers}, PING)
    return status, text


def fails(binary, home, *arguments):
    """Exit code and standard error of a command that should not start serving."""
    command = [binary, *map(str, arguments)]
    ended = subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=ENDS_WITHIN)
    equal(ended.stdout, "", "standard output")
    return ended.returncode, ended.stderr


@check("health is 200 with status, version, cloud providers, uptime and the age of the snapshot")
def healthy(address, store):
    status, text = get(f"{address}/health")
    equal(status, 200, "the status")
    health = json.loads(text)
    equal(health["status"], "healthy", "status")
    equal(health["cloud_providers"], ["aws"], "cloud_providers")
    assert health["version"] and health["uptime_seconds"] >= 0, health
    assert 0 < health["snapshot"]["age_seconds"] < 26 * 3600, health
    equal(health["snapshot"]["complete"], True, "complete")


@check("health is 503 with a reason while there is no ledger, and the tools say what to run")
def no_ledger(binary, home):
    with serving(binary, home / "nothing.sqlite", home) as address:
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


@check("a ledger that appears while the server runs is answered from without a restart")
def ledger_appears(binary, store, home):
    later = home / "later.sqlite"
    with serving(binary, later, home) as address:
        equal(get(f"{address}/health")[0], 503, "the status before")
        shutil.copy(store, later)
        equal(get(f"{address}/health")[0], 200, "the status after")


@check("health is 503 when the snapshot is older than the operator allows")
def too_old(binary, store, home):
    with serving(binary, store, home, "--max-age-hours", "1") as address:
        status, text = get(f"{address}/health")
        equal(status, 503, "the status")
        contains(json.loads(text)["reason"], "older than 1 h")


@check("health is 503 when the file is not a ledger, and says no more than that")
def not_a_ledger(binary, home):
    (home / "text.sqlite").write_text("this is no database, but it is long enough to have a header " * 20)
    with serving(binary, home / "text.sqlite", home) as address:
        status, text = get(f"{address}/health")
        equal(status, 503, "the status")
        assert str(home) not in text, text


@check("a port in use ends the server with exit code 1 and one line that names it")
def port_in_use(binary, store, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, text = fails(binary, home, "server", "--store", store, "--policy", POLICY, "--listen", address, "--log", "error")
    equal(code, 1, "the exit code")
    equal(len(text.strip().splitlines()), 1, f"the number of lines of {text!r}")
    contains(text, address, "in use", "--listen")


@check("an address that is none is refused with exit code 2 and the flag's name")
def bad_address(binary, home):
    code, text = fails(binary, home, "server", "--listen", "everywhere")
    equal(code, 2, "the exit code")
    contains(text, "--listen", "everywhere")


@check("a request of the machine's own is answered, with and without a local Origin")
def local_origins(address):
    port = address.rsplit(":", 1)[1]
    for headers in ({}, {"Origin": address}, {"Origin": "http://localhost:3000"}, {"Host": f"localhost:{port}"}):
        status, text = post(address, **headers)
        equal(status, 200, f"the status with {headers}: {text}")


@check("a page of another site is refused by its Origin")
def foreign_origin(address):
    for origin in ("https://evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example:80", "null"):
        status, text = post(address, Origin=origin)
        equal(status, 403, f"the status with Origin {origin}: {text}")


@check("a name that resolves to this machine is refused by its Host")
def foreign_host(address):
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"):
        status, text = post(address, Host=host)
        equal(status, 403, f"the status with Host {host}: {text}")


@check("GET and DELETE of /mcp are 405, for there are no sessions")
def no_sessions(address):
    for method in ("GET", "DELETE"):
        status, _, _ = request(f"{address}/mcp", method, {"Accept": "text/event-stream"})
        equal(status, 405, f"the status of {method}")
    _, headers, _ = request(f"{address}/mcp", "POST", MCP_HEADERS, PING)
    assert "mcp-session-id" not in headers, headers


@check("a body of more than a mebibyte is 413, malformed JSON is refused, and the server goes on")
def bad_bodies(address):
    status, _, _ = request(f"{address}/mcp", "POST", MCP_HEADERS, {**PING, "params": {"x": "y" * (1 << 20)}})
    equal(status, 413, "the status of a large body")
    for body in ("not an object", [PING, PING], {"jsonrpc": "2.0"}):
        status, _, text = request(f"{address}/mcp", "POST", MCP_HEADERS, body)
        assert 400 <= status < 500, f"{status} {text}"
    equal(post(address)[0], 200, "the status afterwards")


@check("an unknown tool and an unknown method are errors that say so")
def unknown_names(address):
    call = {**PING, "method": "tools/call", "params": {"name": "drop_tables", "arguments": {}}}
    for message in (call, {**PING, "method": "tools/nonsense"}):
        _, _, text = request(f"{address}/mcp", "POST", MCP_HEADERS, message)
        error = json.loads(text).get("error")
        assert error and error["code"] in (-32602, -32601), text


@check("an unknown path is 404")
def unknown_path(address):
    equal(get(f"{address}/etc/passwd")[0], 404, "the status")


@check("over stdio nothing but the protocol stands on standard output, and the end of input ends the program")
def stdio_is_clean(binary, store, home):
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
        rest, _ = program.communicate(timeout=ENDS_WITHIN)
    finally:
        program.kill()
    equal([answer["id"] for answer in found], [1, 2], "the ids")
    equal(found[0]["result"]["protocolVersion"], "2025-06-18", "the version")
    equal(rest, "", "what follows")
    equal(program.returncode, 0, "the exit code")
