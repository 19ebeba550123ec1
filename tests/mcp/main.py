"""The protocol tests: the built program against clients that others wrote.

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
from programs import POLICY, environment, make_ledger, serving
from truth import Truth, newest

ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}


def stdio(binary, store, home):
    arguments = ["mcp", "--store", str(store), "--policy", str(POLICY)]
    return StdioServerParameters(command=str(binary), args=arguments, env=environment(home), cwd=str(home))


async def through_the_client(checks, transports, fixtures):
    """Every client check over every transport in both eras of the protocol."""
    passed, failed = 0, []
    for transport, target in transports.items():
        for mode, version in ERAS.items():
            async with Client(target, mode=mode) as client:
                if client.protocol_version != version:
                    raise SystemExit(f"mode {mode} negotiated {client.protocol_version}, not {version}")
                outcome = await run(checks, {**fixtures, "client": client}, f"{transport}, {version}: ")
            passed, failed = passed + outcome[0], failed + outcome[1]
    return passed, failed


def chosen(words, through_client):
    """The checks whose sentences have all the words, and that do or do not ask through the client."""
    named = [(sentence, function) for sentence, function in CHECKS if all(word in sentence for word in words)]
    return [(s, f) for s, f in named if ("client" in inspect.signature(f).parameters) == through_client]


async def main(binary, words):
    with tempfile.TemporaryDirectory(prefix="tagledger-tests-") as folder:
        home = Path(folder)
        print("making a ledger with the demo: ninety nights", flush=True)
        store = make_ledger(binary, home)
        estate = newest(store)
        fixtures = {
            "binary": binary, "store": store, "home": home, "policy_file": POLICY,
            "estate": estate, "truth": Truth(estate, POLICY),
        }
        with serving(binary, store, home) as address:
            fixtures["address"] = address
            transports = {"HTTP": f"{address}/mcp", "stdio": stdio(binary, store, home)}
            passed, failed = await through_the_client(chosen(words, True), transports, fixtures)
            outcome = await run(chosen(words, False), fixtures)
        passed, failed = passed + outcome[0], failed + outcome[1]
    for sentence in failed:
        print(f"FAILED {sentence}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2:])))
