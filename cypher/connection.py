"""A connection to a database: drivers, one retry policy, and the way back when the embedded engine's owner ends."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from cypher.address import Address
from cypher.driver_errors import translated
from cypher.embedded import DATABASE, READER, WRITER, Lease, open_embedded

if TYPE_CHECKING:
    from neo4j import Driver, Session

Result = TypeVar("Result")

ATTEMPTS = 12
_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 2.0
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Which database this is, for people.

    Attributes
    ----------
    name : str
        `embedded` or `neo4j`.
    version : str
        Product and version as the server states them.
    address : str
        Where it is; free of credentials.
    """

    name: str
    version: str
    address: str


class Connection:
    """Two drivers to one database: one that writes, and one for reading (the same where the server has no roles).

    Parameters
    ----------
    address : Address, optional
        A server; None for the embedded engine of `directory`.
    directory : Path
    """

    def __init__(self, address: Address | None, directory: Path) -> None:
        self._address = address
        self._directory = directory
        self._lease: Lease | None = None
        self._guard = RLock()
        self._generation = 0
        self.where = address.uri if address else str(directory)
        self.database = address.database if address else DATABASE
        with translated(self.where):
            self._connect()

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded engine."""
        return self._address is None

    def backend(self) -> Backend:
        """What the server says it is."""
        with translated(self.where):
            agent = self._writer.get_server_info().agent
        return Backend(name="embedded" if self.embedded else "neo4j", version=agent, address=self.where)

    def close(self) -> None:
        """Close the drivers and give the embedded engine back; harmless when done twice."""
        with self._guard:
            self._disconnect()

    def run(self, work: Callable[[Session], Result], *, write: bool, asked: bool = False) -> Result:
        """Do a piece of work in a session, again where the database asks for that.

        Deadlocks and conflicts between writers are tried again up to `ATTEMPTS` times; a conflict between two who make
        one key surfaces as a violated constraint. Where the process that owned the
        embedded engine has ended, this one joins its successor or becomes it. `work` must therefore bear repetition.

        Parameters
        ----------
        work : callable
            Takes a session; leaves nothing uncommitted that it wants to keep.
        write : bool
        asked : bool
            Whether the statement is the user's own.
        """
        from neo4j import READ_ACCESS, WRITE_ACCESS
        from neo4j.exceptions import DriverError, Neo4jError

        with translated(self.where, asked=asked):
            for attempt in range(ATTEMPTS):
                generation, driver = self._generation, self._writer if write else self._reader
                try:
                    with driver.session(
                        database=self.database, default_access_mode=WRITE_ACCESS if write else READ_ACCESS
                    ) as session:
                        return work(session)
                except Exception as error:
                    if hides_interruption(error):
                        raise KeyboardInterrupt from error
                    known = isinstance(error, (DriverError, Neo4jError))
                    last = attempt == ATTEMPTS - 1
                    if not known or last or not self._worth_repeating(error, generation, write=write):
                        raise
                wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**attempt)
                time.sleep(wait * (0.5 + secrets.randbelow(1000) / 1000))
            raise AssertionError("unreachable: the last attempt returns or raises")

    def _worth_repeating(self, error: Exception, generation: int, *, write: bool) -> bool:
        from neo4j.exceptions import (
            AuthError,
            ConstraintError,
            DriverError,
            Neo4jError,
            ServiceUnavailable,
            SessionExpired,
        )

        if self.embedded and isinstance(error, (ServiceUnavailable, SessionExpired, AuthError)):
            return self._reconnect(generation)
        if isinstance(error, ServiceUnavailable):
            return False
        if write and isinstance(error, ConstraintError):
            return True
        return isinstance(error, (DriverError, Neo4jError)) and error.is_retryable()

    def _reconnect(self, generation: int) -> bool:
        with self._guard:
            if generation == self._generation:
                self._disconnect()
                self._connect()
        return True

    def _connect(self) -> None:
        if self._address is None:
            self._lease = open_embedded(self._directory)
            endpoint = self._lease.endpoint
            self._writer = _driver(endpoint.uri, WRITER, endpoint.writer_password)
            self._reader = _driver(endpoint.uri, READER, endpoint.reader_password)
        else:
            self._writer = self._reader = _driver(self._address.uri, self._address.user, self._address.password)
        self._generation += 1
        try:
            if self._address is not None:
                with self._writer.session(database=self.database) as session:
                    session.run("RETURN 1").consume()
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        self._writer.close()
        self._reader.close()
        if self._lease is not None:
            self._lease.close()
            self._lease = None


def _driver(uri: str, user: str, password: str) -> Driver:
    from neo4j import GraphDatabase

    # Without a handler the driver's own retries would be reported on stderr.
    logging.getLogger("neo4j").addHandler(logging.NullHandler())
    return GraphDatabase.driver(
        uri,
        auth=(user, password),
        notifications_min_severity="OFF",
        max_transaction_retry_time=0,
        connection_timeout=_CONNECT_SECONDS,
        connection_acquisition_timeout=2 * _CONNECT_SECONDS,
    )


def hides_interruption(error: BaseException) -> bool:
    """Whether an error arose while an interruption was dealt with: the driver rolls back on one, and may fail at that.

    Examples
    --------
    >>> hides_interruption(BufferError())
    False
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__context__
    return seen is not None
