"""The built program under test: a ledger made by its demo, its servers, and where they listen."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
POLICY = REPOSITORY / "policies" / "tagging_policy.json"
DEMO_STARTS_WITHIN = 600
SERVER_STARTS_WITHIN = 60
ENDS_WITHIN = 20


def environment(home):
    """Ours, without settings of the program that the machine may have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAGLEDGER_", "AWS_"))}
    return {**kept, "HOME": str(home)}


class Program:
    """A running program whose output is collected line by line."""

    def __init__(self, command, home):
        self.process = subprocess.Popen(
            [str(part) for part in command], cwd=home, env=environment(home), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.lines = []
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def text(self):
        return "".join(self.lines)

    def wait_for(self, pattern, seconds):
        """The first match in its output; fails when it ends before, or says nothing of the kind in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = self.process.poll() is not None
            if ended:
                self.reading.join(ENDS_WITHIN)
            found = re.search(pattern, self.text())
            if found:
                return found
            if ended:
                break
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} within {seconds} s; it said:\n{self.text()}")

    def end(self):
        """Ends it as an operator does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {ENDS_WITHIN} s of SIGTERM") from None


@contextmanager
def running(command, home):
    program = Program(command, home)
    try:
        yield program
    finally:
        program.end()


@contextmanager
def serving(binary, store, home, *more):
    """`tagledger server` on a port of its own; its base address."""
    command = [binary, "server", "--store", store, "--policy", POLICY, "--listen", "127.0.0.1:0", *more]
    with running(command, home) as program:
        found = program.wait_for(r"listen=(127\.0\.0\.1:\d+)", SERVER_STARTS_WITHIN)
        yield f"http://{found[1]}"


def make_ledger(binary, home):
    """Has the demo make its ledger, ends the demo, and returns the file."""
    with running([binary, "demo", "--listen", "127.0.0.1:0"], home) as program:
        found = program.wait_for(r'"mcp","--store","([^"]+)"', DEMO_STARTS_WITHIN)
        address = program.wait_for(r"MCP at (http://127\.0\.0\.1:\d+)/mcp", 1)[1]
        status, body = get(f"{address}/health")
        assert status == 200, body
        code = program.end()
        assert code == 0, f"the demo ended with {code}:\n{program.text()}"
    return Path(found[1])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request(url, method="GET", headers=None, body=None):
    """Status, headers and text of an HTTP exchange, whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


def get(url):
    """Status and text."""
    status, _, text = request(url)
    return status, text
