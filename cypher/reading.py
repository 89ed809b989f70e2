"""Reading: queries of the library, and the user's own Cypher, which may read and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING, Any

from cypher.connection import Connection
from cypher.guard import check_plan
from cypher.values import plain
from graph_schema.errors import InputError, ModelLakeError, QueryRefusedError

if TYPE_CHECKING:
    from neo4j import Session

_LONGEST_TEXT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a query returned.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple
        Values that JSON can hold, see `cypher.values.plain`.
    truncated : bool
        Whether there was more than the limit.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


def read_library(connection: Connection, text: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    """Run a query of the library in a read transaction."""

    def work(session: Session) -> list[dict[str, Any]]:
        return session.execute_read(
            lambda transaction: [plain(record.data()) for record in transaction.run(text, dict(parameters))]
        )

    return connection.run(work, write=False)


def read_cypher(
    connection: Connection, text: str, parameters: Mapping[str, object], *, timeout_s: float, limit: int
) -> Table:
    """Run the user's own query; see `cypher.store.Store.cypher`."""
    if len(text) > _LONGEST_TEXT:
        raise InputError(f"the query is longer than {_LONGEST_TEXT} characters")
    if not text.strip():
        raise InputError("the query is empty")
    if not (timeout_s > 0 and limit > 0):
        raise InputError("the time limit and the row limit must be above 0")

    def embedded(session: Session) -> Table:
        token = secrets.token_hex(16)
        _refuse_files(session, text, parameters)
        with _stopped_after(connection, token, timeout_s):
            # A line comment of our own lets the stopwatch find this statement among those that run.
            return _fetch(session, f"{text}\n//{token}", parameters, None, limit)

    def server(session: Session) -> Table:
        summary = session.run(f"EXPLAIN {text}", dict(parameters)).consume()
        check_plan(summary.query_type, summary.plan)
        return _fetch(session, text, parameters, timeout_s, limit)

    return connection.run(embedded if connection.embedded else server, write=False, asked=True)


def _fetch(session: Session, text: str, parameters: Mapping[str, object], timeout_s: float | None, limit: int) -> Table:
    from neo4j import Query

    result = session.run(Query(text, timeout=timeout_s), dict(parameters))
    columns = tuple(result.keys())
    records = result.fetch(limit + 1)
    rows = tuple(tuple(plain(value) for value in record.values()) for record in records[:limit])
    result.consume()
    return Table(columns=columns, rows=rows, truncated=len(records) > limit)


def _refuse_files(session: Session, text: str, parameters: Mapping[str, object]) -> None:
    # The reader user cannot read local files; addresses on the network are what is left of LOAD CSV.
    summary = session.run(f"EXPLAIN {text}", dict(parameters)).consume()
    if any("LOAD CSV" in str(value) for value in ((summary.plan or {}).get("args") or {}).values()):
        raise QueryRefusedError("only reading the graph is allowed here, the query would run LOAD CSV")


@contextmanager
def _stopped_after(connection: Connection, token: str, seconds: float) -> Iterator[None]:
    # The engine ignores the driver's time limit; it does stop what it is told to stop.
    def stop() -> None:
        def work(session: Session) -> None:
            running = session.run("SHOW TRANSACTIONS YIELD transactionId, currentQuery").data()
            for row in running:
                if str(row["currentQuery"]).endswith(token):
                    session.run(f"TERMINATE TRANSACTION '{row['transactionId']}'").consume()

        try:
            connection.run(work, write=True)
        except ModelLakeError:
            return  # the query's own thread meets the same failure, and reports it

    timer = Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
