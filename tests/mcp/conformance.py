"""The official conformance suite, released and coming, over HTTP."""

import re
import subprocess

from checks import check, equal
from inspector import NODE
from programs import REPOSITORY, environment

MODULES = REPOSITORY / ".venv" / "inspector" / "node_modules"
BASELINES = REPOSITORY / "tests" / "mcp" / "conformance"
ENDS_WITHIN = 300
SUMMARY = re.compile(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed$", re.MULTILINE)

# What every server can pass without fixtures of the suite's: none of it may ever be excused.
PASSED = {
    "conformance": {
        "server-initialize", "ping", "completion-complete", "tools-list", "resources-list", "prompts-list",
        "dns-rebinding-protection",
    },
    "conformance-next": {
        "completion-complete", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "caching",
        "sep-2164-resource-not-found", "http-header-validation", "server-sse-multiple-streams",
        "input-required-result-unsupported-methods", "input-required-result-validate-input",
    },
}


def conforms(package, version, home, address, *suite):
    """Nothing fails but what the baseline names, and all that it names does."""
    baseline = BASELINES / f"baseline-{version}.yml"
    target = ["server", "--url", f"{address}/mcp", "--expected-failures", baseline, "--output-dir", home / package]
    command = [NODE, MODULES / package / "dist" / "index.js", *target, *suite]
    ended = subprocess.run(
        [str(part) for part in command], cwd=home, env=environment(home), capture_output=True, text=True, timeout=ENDS_WITHIN,
    )
    outcome = {name: (int(passed), int(failed)) for name, passed, failed in SUMMARY.findall(ended.stdout)}
    equal(ended.returncode, 0, f"the exit code; it said {ended.stdout[-3000:]} {ended.stderr[-1000:]}")
    for scenario in PASSED[package]:
        passed, failed = outcome.get(scenario, (0, -1))
        assert passed > 0 and failed == 0, f"{scenario}: {passed} passed, {failed} failed"


@check("the official conformance suite finds what its baseline says and no more, over all revisions to 2025-11-25")
def released(address, home):
    conforms("conformance", "0.1.16", home, address, "--suite", "all")


@check("the coming conformance suite finds what its baseline says and no more of the requirements of 2026-07-28")
def coming(address, home):
    conforms("conformance-next", "0.2.0-alpha.12", home, address, "--requirements", "2026-07-28", "--timeout", "15000")
