"""The released and the prerelease official conformance suite, over HTTP."""

import re
import subprocess

from checks import check, equal
from inspector import NODE
from programs import REPOSITORY, environment

MODULES = REPOSITORY / ".venv" / "inspector" / "node_modules"
BASELINES = REPOSITORY / "tests" / "mcp" / "conformance"
TIMEOUT = 300
SUMMARY = re.compile(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed$", re.MULTILINE)

# Scenarios that every server can pass without the fixtures of the suite. The baseline must not contain them.
REQUIRED_SCENARIOS = {
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


def run_suite_against_baseline(package, version, home, address, *suite):
    """Runs a suite. Exactly the scenarios of the baseline fail."""
    baseline = BASELINES / f"baseline-{version}.yml"
    target = ["server", "--url", f"{address}/mcp", "--expected-failures", baseline, "--output-dir", home / package]
    command = [NODE, MODULES / package / "dist" / "index.js", *target, *suite]
    ended = subprocess.run(
        [str(part) for part in command], cwd=home, env=environment(home), capture_output=True, text=True, timeout=TIMEOUT,
    )
    outcome = {name: (int(passed), int(failed)) for name, passed, failed in SUMMARY.findall(ended.stdout)}
    equal(ended.returncode, 0, f"the exit code; it said {ended.stdout[-3000:]} {ended.stderr[-1000:]}")
    for scenario in REQUIRED_SCENARIOS[package]:
        passed, failed = outcome.get(scenario, (0, -1))
        assert passed > 0 and failed == 0, f"{scenario}: {passed} passed, {failed} failed"


@check("the released conformance suite matches its baseline for all revisions up to 2025-11-25")
def released_suite_matches_baseline(address, home):
    run_suite_against_baseline("conformance", "0.1.16", home, address, "--suite", "all")


@check("the prerelease conformance suite matches its baseline for the requirements of 2026-07-28")
def prerelease_suite_matches_baseline(address, home):
    run_suite_against_baseline("conformance-next", "0.2.0-alpha.12", home, address, "--requirements", "2026-07-28", "--timeout", "15000")
