"""The embedded database of a directory: started by the first process that asks, joined by the others.

The owner holds a lock that ends with its process, and writes an endpoint file (mode 0600) with the port and the
passwords once the engine answers. A file left by an owner that died means nothing: its lock is free, and the next
process becomes the owner.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from pathlib import Path
from threading import RLock

from cypher.engine import DATABASE, READER, WRITER, Endpoint, Engine
from cypher.owner_lock import OwnerLock
from cypher.private_files import private_directory, write_private
from graph_schema.errors import StoreUnavailableError

ENDPOINT_FILE = "endpoint.json"
LOCK_FILE = "owner.lock"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05

__all__ = ["DATABASE", "ENDPOINT_FILE", "LOCK_FILE", "READER", "WRITER", "Lease", "open_embedded"]


class _Owned:
    """An engine of this process, with the number of leases on it."""

    def __init__(self, engine: Engine, lock: OwnerLock) -> None:
        self.engine = engine
        self.lock = lock
        self.leases = 0


_owned: dict[tuple[int, Path], _Owned] = {}
_guard = RLock()


class Lease:
    """A right to use a directory's engine; the last lease of the owning process ends it.

    Attributes
    ----------
    endpoint : Endpoint
        Where it answers.
    directory : Path
    owner : bool
        Whether the engine runs in this process.
    """

    def __init__(self, directory: Path, endpoint: Endpoint, *, owner: bool) -> None:
        self.directory = directory
        self.endpoint = endpoint
        self.owner = owner
        self._open = True

    def close(self) -> None:
        """Give the lease back; harmless when done twice."""
        if not self._open:
            return
        self._open = False
        if self.owner:
            with _guard:
                owned = _owned.get((os.getpid(), self.directory))
                if owned is not None:
                    owned.leases -= 1
                    if owned.leases == 0:
                        _stop(self.directory)


def open_embedded(directory: Path) -> Lease:
    """Start the engine of a directory, or join the one that runs.

    Parameters
    ----------
    directory : Path
        Made where it is absent.

    Raises
    ------
    StoreUnavailableError
        If another process holds the directory but its engine does not come up.
    StoreDamagedError, SchemaVersionError, MissingDependencyError
        As `Engine`.
    """
    directory = private_directory(directory).resolve()
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with _guard:
            lease = _own(directory)
        if lease is None:
            endpoint = read_endpoint(directory)
            if endpoint is not None:
                return Lease(directory, endpoint, owner=False)
        else:
            return lease
        if time.monotonic() > deadline:
            raise StoreUnavailableError(
                "another process holds the store but does not answer",
                where=str(directory),
                remedy="end that process, or use another --store",
            )
        time.sleep(_POLL_SECONDS)


def read_endpoint(directory: Path) -> Endpoint | None:
    """The endpoint that the present owner published; None where there is none yet, or the file is of no use."""
    try:
        fields = json.loads((directory / ENDPOINT_FILE).read_text(encoding="utf-8"))
        return Endpoint(
            port=int(fields["port"]),
            process=int(fields["process"]),
            writer_password=str(fields["writer_password"]),
            reader_password=str(fields["reader_password"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _own(directory: Path) -> Lease | None:
    key = (os.getpid(), directory)
    owned = _owned.get(key)
    if owned is None:
        lock = OwnerLock(directory / LOCK_FILE)
        try:
            if not lock.acquire():
                return None
        except OSError as error:
            raise StoreUnavailableError(
                f"the store cannot be locked: {error.strerror}",
                where=str(directory),
                remedy="check its permissions, or choose another --store",
            ) from error
        try:
            (directory / ENDPOINT_FILE).unlink(missing_ok=True)
            engine = Engine(directory)
            write_private(directory / ENDPOINT_FILE, engine.endpoint.to_json())
        except BaseException:
            lock.release()
            raise
        owned = _owned[key] = _Owned(engine, lock)
        atexit.register(_stop, directory)
    owned.leases += 1
    return Lease(directory, owned.engine.endpoint, owner=True)


def _stop(directory: Path) -> None:
    owned = _owned.pop((os.getpid(), directory), None)
    if owned is None:
        return
    (directory / ENDPOINT_FILE).unlink(missing_ok=True)
    try:
        owned.engine.stop()
    finally:
        owned.lock.release()
