"""The protocol tests: the built program with clients of other projects.

    python tests/mcp/main.py target/debug/tagledger [words of the checks to run]

Prints a line a check and ends with `N passed, M failed`; exit 1 when a check failed.
"""

import asyncio
import inspect
import sys
import tempfile
from pathlib import Path

import answers  # noqa: F401 (these six declare checks)
import bundle  # noqa: F401
import conformance  # noqa: F401
import inspector  # noqa: F401
import refusals  # noqa: F401
import surface  # noqa: F401
from checks import CHECKS, run
from mcp import Client, StdioServerParameters
from programs import POLICY, environment, make_ledger, run_server
from truth import ExpectedLists, newest_resources

ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}


def stdio(binary, store, home):
    arguments = ["mcp", "--store", str(store), "--policy", str(POLICY)]
    return StdioServerParameters(command=str(binary), args=arguments, env=environment(home), cwd=str(home))


async def run_over_transports(checks, transports, fixtures):
    """Runs every client check over every transport and both generations of the protocol."""
    passed, failed = 0, []
    for transport, target in transports.items():
        for mode, version in ERAS.items():
            async with Client(target, mode=mode) as client:
                if client.protocol_version != version:
                    raise SystemExit(f"mode {mode} negotiated {client.protocol_version}, not {version}")
                outcome = await run(checks, {**fixtures, "client": client}, f"{transport}, {version}: ")
            passed, failed = passed + outcome[0], failed + outcome[1]
    return passed, failed


def select_checks(words, through_client):
    """Returns the checks whose sentences contain all the words and that use, or do not use, the client."""
    named = [(sentence, function) for sentence, function in CHECKS if all(word in sentence for word in words)]
    return [(s, f) for s, f in named if ("client" in inspect.signature(f).parameters) == through_client]


async def main(binary, words):
    with tempfile.TemporaryDirectory(prefix="tagledger-tests-") as folder:
        home = Path(folder)
        print("creating a ledger of 90 snapshots with the demo", flush=True)
        store = make_ledger(binary, home)
        estate = newest_resources(store)
        fixtures = {
            "binary": binary, "store": store, "home": home, "policy_file": POLICY,
            "estate": estate, "truth": ExpectedLists(estate, POLICY),
        }
        with run_server(binary, store, home) as address:
            fixtures["address"] = address
            transports = {"HTTP": f"{address}/mcp", "stdio": stdio(binary, store, home)}
            passed, failed = await run_over_transports(select_checks(words, True), transports, fixtures)
            outcome = await run(select_checks(words, False), fixtures)
        passed, failed = passed + outcome[0], failed + outcome[1]
    for sentence in failed:
        print(f"FAILED {sentence}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2:])))
