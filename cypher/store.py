"""The store: what the rest of the project knows of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cypher.address import parse_address
from cypher.checking import check_rows
from cypher.connection import Backend, Connection
from cypher.library import load_query
from cypher.migrations import check_version, migrate, read_version
from cypher.reading import Table, read_cypher, read_library
from cypher.writing import Written, forget_edits, forget_ghosts, statements, write_rows
from graph_schema.errors import StoreError
from graph_schema.graph import Rows
from graph_schema.labels import GHOST, Label

if TYPE_CHECKING:
    from neo4j import ManagedTransaction, Session

    from cypher.migrations import Language

__all__ = ["Backend", "Store", "Table", "Written"]


class Store:
    """A provenance graph in a database; open it with `Store.open`, close it with `close` or as a context manager.

    May be used from several threads at once.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.backend: Backend = connection.backend()

    @classmethod
    def open(cls, url: str | None, *, directory: Path, user: str | None = None, password: str | None = None) -> Self:
        """Connect, and bring the schema up to date.

        Parameters
        ----------
        url : str or None
            `bolt://user:password@host:7687/database` (or `neo4j://`, with `+s` for TLS) of a Neo4j server; None for the
            embedded database in `directory`, which is started, or joined where another process has started it.
        directory : Path
            Where the embedded database lies; made where it is absent.
        user, password : str, optional
            Taken before those of the URL.

        Raises
        ------
        InputError
            If the URL is not one.
        StoreUnavailableError, StoreAuthenticationError, StoreDamagedError, SchemaVersionError
            See `graph_schema.errors`.
        """
        address = None if url is None else parse_address(url, user=user, password=password)
        connection = Connection(address, directory)
        try:
            store = cls(connection)
            store._prepare()
        except BaseException:
            connection.close()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the last user of the embedded database in the owning process ends it."""
        self._connection.close()

    def write(self, rows: Rows) -> Written:
        """Write nodes and edges, all or none; writing twice is writing once.

        Nodes are told apart by label and id, edges by their ends, their type and the key of their
        `graph_schema.schema.EdgeType`. What is there already gets the new properties, and loses the optional ones that
        the row leaves out.

        Raises
        ------
        InputError
            If a row does not fit the schema, or an edge names a node that is neither in the rows nor in the store.

        Notes
        -----
        One transaction, so that memory bounds its size: tens of thousands of rows are well within it.
        """
        return self.replace((), rows)

    def replace(self, edits: Sequence[str], rows: Rows) -> Written:
        """Forget Edits with all that stands on them, and write rows, in one transaction.

        Deletes the Edits with these ids (unknown ones are ignored), their Evidence and the shortcut edges whose `edit`
        is one of them, then writes, then deletes the ghosts that nothing leads to any more, and the datasets that had
        no other state, unless they are among `rows`.

        Raises
        ------
        InputError
            As `write`; nothing is changed then.
        """
        check_rows(rows)
        batches, written = statements(rows)
        data = (Label.DATASET, Label.DATASET_VERSION)
        ghosts = {node.id for node in rows.nodes if GHOST in node.labels or node.labels[0] in data}

        def work(transaction: ManagedTransaction) -> None:
            if edits:
                forget_edits(transaction, edits)
            write_rows(transaction, batches)
            if edits:
                forget_ghosts(transaction, kept=ghosts)

        if batches or edits:
            self._connection.run(lambda session: session.execute_write(work), write=True)
        return written

    def query(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Run a query of the library (`cypher/queries/NAME.cypher`).

        Returns
        -------
        list of dict
            One for each row, by the columns that the file's header states.

        Raises
        ------
        UnknownNameError
            If there is no such query.
        QueryError
            If a parameter is missing, unknown or of the wrong type.
        """
        query = load_query(name)
        query.check(parameters)
        return read_library(self._connection, query.text, parameters)

    def cypher(
        self, text: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = 30, limit: int = 10_000
    ) -> Table:
        """Run a user's own Cypher, which may read the graph and do nothing else.

        On a Neo4j server the planner says what the query is before it runs (`cypher.guard`), in a READ transaction with
        a time limit. On the embedded engine it runs as a user who can only read, and is stopped after the limit.

        Parameters
        ----------
        text : str
            One statement.
        parameters : mapping, optional
        timeout_s : float
            Seconds before the query is stopped.
        limit : int
            Rows to return at most; `Table.truncated` says whether there were more.

        Raises
        ------
        QueryRefusedError
            If it would write, administer, load files or call a procedure that is not allowed.
        QueryError
            If it is malformed or lacks a parameter.
        QueryTimeoutError
            If it ran past its time.
        """
        return read_cypher(self._connection, text, parameters or {}, timeout_s=timeout_s, limit=limit)

    def _prepare(self) -> None:
        if self._connection.embedded:
            # Its owner has migrated it before anyone could connect.
            check_version(read_version(self._execute), where=self._connection.where)
        elif "ArcadeDB" in self.backend.version:
            raise StoreError(
                "an ArcadeDB server has no read-only user for queries",
                where=self._connection.where,
                remedy="give the URL of a Neo4j server, or none for the embedded database",
            )
        else:
            migrate(self._execute, "neo4j", where=self._connection.where)

    def _execute(self, language: Language, text: str) -> Sequence[Mapping[str, object]]:
        def work(session: Session) -> Sequence[Mapping[str, object]]:
            return session.execute_write(lambda transaction: transaction.run(text).data())

        return self._connection.run(work, write=True)
