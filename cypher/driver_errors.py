"""The driver's errors, as the project's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graph_schema.errors import (
    ModelLakeError,
    QueryError,
    QueryRefusedError,
    QueryTimeoutError,
    StoreAuthenticationError,
    StoreError,
    StoreUnavailableError,
)

_TIMED_OUT = ("TransactionTimedOut", "Transaction.Terminated", "TransactionTerminated", "LockClientStopped")
_QUERY = ("Neo.ClientError.Statement.", "Neo.ClientError.Procedure.", "Neo.DatabaseError.General.UnknownError")
_FORBIDDEN = ("Neo.ClientError.Security.Forbidden", "Neo.ClientError.Statement.AccessMode")


@contextmanager
def translated(where: str, *, asked: bool = False) -> Iterator[None]:
    """Turn the driver's errors into ours.

    Parameters
    ----------
    where : str
        The store's name, for messages.
    asked : bool
        Whether the statement came from the user, so that what is wrong with it is theirs to correct.
    """
    from neo4j.exceptions import DriverError, Neo4jError

    try:
        yield
    except (Neo4jError, DriverError) as error:
        raise translate(error, where, asked=asked) from error
    except (OSError, ValueError) as error:
        if isinstance(error, ModelLakeError):
            raise
        raise StoreUnavailableError(
            f"the store cannot be reached: {_line(str(error))}", where=where, remedy="check the address"
        ) from error


def translate(error: Exception, where: str, *, asked: bool = False) -> ModelLakeError:
    """The project's error for one of the driver's."""
    from neo4j.exceptions import AuthError, Neo4jError, ServiceUnavailable, SessionExpired

    code = getattr(error, "code", None) or ""
    text = _line(getattr(error, "message", None) or str(error))
    if isinstance(error, AuthError) and "Forbidden" not in code:
        if "CredentialsExpired" in code:
            return StoreAuthenticationError(
                "the password must be changed before first use",
                where=where,
                remedy="ALTER CURRENT USER SET PASSWORD FROM 'old' TO 'new' on the system database",
            )
        return StoreAuthenticationError(
            "user or password refused", where=where, remedy="give them in the URL: bolt://user:password@host:7687"
        )
    if "CredentialsExpired" in code:
        return StoreAuthenticationError(
            "the password must be changed before first use", where=where, remedy="set it with ALTER CURRENT USER"
        )
    if isinstance(error, (ServiceUnavailable, SessionExpired)):
        return StoreUnavailableError(f"nothing answers: {text}", where=where, remedy="start the server, check the URL")
    if "DatabaseNotFound" in code:
        return StoreUnavailableError("no such database on the server", where=where, remedy="check the URL's last part")
    if any(part in code for part in _TIMED_OUT):
        return QueryTimeoutError(
            "the query ran past its time limit", where=where, remedy="narrow it, or raise the limit"
        )
    if asked and code.startswith(_FORBIDDEN):
        return QueryRefusedError(
            f"only reading is allowed here: {text}", remedy="use modellake's own commands to write"
        )
    if code.startswith(_QUERY):
        return QueryError(text or "malformed query")
    if isinstance(error, Neo4jError) and not asked:
        return StoreError(f"the database refused: {text}", where=where)
    return StoreError(f"the database failed: {text}", where=where, remedy="see the server's log")


def _line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:300] if lines else ""
