"""A program that ends when this one is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

SIGNALLED = 128
"""Exit statuses from here on name the signal that ended a program."""


def run_attended(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program until it ends, or until this one is interrupted or told to end: then that one is as well.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments; no shell reads them.
    environment : mapping of str to str
        All that it sees of the environment.

    Returns
    -------
    int
        Its exit status; 0 after an interrupt, 128 and the signal's number after any other signal.

    Notes
    -----
    Call it from the main thread: no other receives signals.

    Examples
    --------
    >>> import os, sys
    >>> run_attended([sys.executable, "-c", "raise SystemExit(3)"], os.environ)
    3
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        process = subprocess.Popen(command, env=environment)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            # Ended here, and not left to the collector of garbage, by whatever way this block is left.
            if process.poll() is None:
                process.terminate()
                process.wait()
        return status if status >= 0 else SIGNALLED - status
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(SIGNALLED + number)
