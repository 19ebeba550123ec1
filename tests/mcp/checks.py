"""Checks named by sentences: declared with a decorator, run in order, counted at the end."""

import asyncio
import inspect
import time
import traceback

CHECKS = []
MAX_SHOWN_CHARACTERS = 2000


def check(sentence):
    """Declares a check. The runner passes the fixtures that its parameters name."""

    def declare(function):
        CHECKS.append((sentence, function))
        return function

    return declare


def equal(found, expected, what="it"):
    """Fails with both values if they differ."""
    if found != expected:
        raise AssertionError(f"{what} is {str(found)[:MAX_SHOWN_CHARACTERS]}, expected {str(expected)[:MAX_SHOWN_CHARACTERS]}")


def contains(text, *words):
    """Fails if a word is not in the text."""
    missing = [word for word in words if word not in text]
    if missing:
        raise AssertionError(f"{missing} not in: {text[:MAX_SHOWN_CHARACTERS]}")


async def run(checks, fixtures, prefix=""):
    """Runs checks with the fixtures that they name. Returns the number that passed and the sentences of those that failed."""
    passed, failed = 0, []
    for sentence, function in checks:
        started = time.monotonic()
        try:
            wanted = {name: fixtures[name] for name in inspect.signature(function).parameters}
            outcome = function(**wanted)
            if inspect.isawaitable(outcome):
                await asyncio.wait_for(outcome, timeout=120)
        except Exception:
            failed.append(prefix + sentence)
            print(f"FAILED {prefix}{sentence}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok     {prefix}{sentence} ({time.monotonic() - started:.2f} s)", flush=True)
    return passed, failed
