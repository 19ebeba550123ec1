"""Starts the program under test: its demo, which creates a ledger, and its servers."""

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
DEMO_START_TIMEOUT = 600
SERVER_START_TIMEOUT = 60
EXIT_TIMEOUT = 20


def environment(home):
    """The environment of this process without the settings of the program and of AWS."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TAGLEDGER_", "AWS_"))}
    return {**inherited, "HOME": str(home)}


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
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if ended:
                self.reading.join(EXIT_TIMEOUT)
            found = re.search(pattern, self.text())
            if found:
                return found
            if ended:
                break
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} within {seconds} s; it said:\n{self.text()}")

    def terminate(self):
        """Ends it as an operator does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {EXIT_TIMEOUT} s of SIGTERM") from None


@contextmanager
def run_program(command, home):
    program = Program(command, home)
    try:
        yield program
    finally:
        program.terminate()


@contextmanager
def run_server(binary, store, home, *more):
    """Runs `tagledger server` on a free port and yields its base address."""
    command = [binary, "server", "--store", store, "--policy", POLICY, "--listen", "127.0.0.1:0", *more]
    with run_program(command, home) as program:
        found = program.wait_for(r"listen=(127\.0\.0\.1:\d+)", SERVER_START_TIMEOUT)
        yield f"http://{found[1]}"


def make_ledger(binary, home):
    """Creates a ledger with the demo, stops the demo, and returns the file."""
    with run_program([binary, "demo", "--listen", "127.0.0.1:0"], home) as program:
        found = program.wait_for(r'"mcp","--store","([^"]+)"', DEMO_START_TIMEOUT)
        address = program.wait_for(r"MCP at (http://127\.0\.0\.1:\d+)/mcp", 1)[1]
        status, body = get(f"{address}/health")
        assert status == 200, body
        code = program.terminate()
        assert code == 0, f"the demo ended with {code}:\n{program.text()}"
    return Path(found[1])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request(url, method="GET", headers=None, body=None):
    """Sends a request. Returns the status, headers and text, for error statuses too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


def get(url):
    """Sends a request. Returns the status and text."""
    status, _, text = request(url)
    return status, text
