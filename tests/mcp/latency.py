"""Latency of each tool over HTTP, with sequential calls on one connection, as a chat client makes them.

    python tests/mcp/latency.py target/debug/tagledger [store]

Not a test: it prints and judges nothing. Without a store the demo makes one.
"""

import http.client
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from programs import make_ledger, run_server

CALLS = 200
TOOLS = ("check_tag_compliance", "find_untagged_resources", "get_cost_attribution_gap", "get_tagging_policy", "get_violation_history",
         "generate_compliance_report")
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def measure_call(connection, tool):
    """Returns the milliseconds and bytes of one call."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    started = time.perf_counter()
    connection.request("POST", "/mcp", json.dumps(call), HEADERS)
    answer = connection.getresponse()
    body = answer.read()
    taken = (time.perf_counter() - started) * 1000
    assert answer.status == 200 and b'"isError":true' not in body, body[:500]
    return taken, len(body)


def main(binary, store):
    with tempfile.TemporaryDirectory(prefix="tagledger-tests-") as folder:
        home = Path(folder)
        with run_server(binary, store or make_ledger(binary, home), home) as address:
            connection = http.client.HTTPConnection(address.removeprefix("http://"))
            for tool in TOOLS:
                measure_call(connection, tool)
                calls = [measure_call(connection, tool) for _ in range(CALLS)]
                times = sorted(taken for taken, _ in calls)
                middle, slow = statistics.median(times), times[CALLS * 99 // 100]
                print(f"{tool:<26} median {middle:6.2f} ms, p99 {slow:6.2f} ms, {calls[0][1]} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None)
