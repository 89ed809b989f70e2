"""A lock on a directory that ends with the process holding it, however that process ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class OwnerLock:
    """An exclusive lock between processes; within one process the caller keeps count.

    A POSIX record lock, since a forked child does not inherit it: a worker that outlives its parent must not pass for
    the owner.

    Parameters
    ----------
    path : Path
        The lock's file; made where it is absent, and left there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock where it is free; never waits."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go; harmless where the lock is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
