"""The protocol tests: the built program against clients that others wrote.

    python tests/mcp/main.py target/debug/tagledger [words of the checks to run]

Prints a line a check and ends with `N passed, M failed`; exit 1 when a check failed.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import answers  # noqa: F401 (declares checks)
import refusals  # noqa: F401
from checks import CHECKS, run
from mcp import Client, StdioServerParameters

CLIENT_CHECKS = list(CHECKS)
CHECKS.clear()

import surface  # noqa: E402, F401
import inspector  # noqa: E402, F401
from programs import POLICY, environment, make_ledger, serving  # noqa: E402
from truth import Truth, newest  # noqa: E402

SURFACE_CHECKS = list(CHECKS)
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


def chosen(checks, words):
    return [(sentence, check) for sentence, check in checks if all(word in sentence for word in words)]


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
            passed, failed = await through_the_client(chosen(CLIENT_CHECKS, words), transports, fixtures)
            outcome = await run(chosen(SURFACE_CHECKS, words), fixtures)
        passed, failed = passed + outcome[0], failed + outcome[1]
    for sentence in failed:
        print(f"FAILED {sentence}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2:])))
