"""The dashboard's process ends with the command that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modellake.child_process import run_attended
from tests.browser.chromium import free_port

START_SECONDS = 60

SLEEPING = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
ATTENDED = f"""
import os, sys
from modellake.child_process import run_attended
sys.exit(run_attended([sys.executable, "-c", {SLEEPING!r}], os.environ))
"""


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_status_is_that_of_the_program() -> None:
    assert run_attended([sys.executable, "-c", "raise SystemExit(7)"], os.environ) == 7
    assert run_attended([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], os.environ) == 137


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_ends_the_program_as_well(number: signal.Signals, status: int) -> None:
    # Where the suite itself runs in the background, an interruption is ignored and would be by the child.
    heeded = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{ATTENDED}"
    with subprocess.Popen([sys.executable, "-c", heeded], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(30) == status
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_dashboard_stops_with_its_command(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "modellake", "--directory", str(tmp_path), "dashboard", "--headless"]
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + START_SECONDS
        while not listening(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.terminate()
        assert process.wait(30) == 143
    assert not listening(port)
