"""A py2neo Graph on the same database, for code that was written for py2neo (optional)."""

from __future__ import annotations

from typing import Any

from cypher.address import parse_address
from graph_schema.errors import MissingDependencyError, StoreAuthenticationError, StoreUnavailableError


def py2neo_graph(url: str, *, user: str | None = None, password: str | None = None) -> Any:
    """A `py2neo.Graph` for the URL of a Neo4j server, as `Store.open` takes it.

    Raises
    ------
    MissingDependencyError
        If py2neo is not installed.
    StoreUnavailableError, StoreAuthenticationError
        If the server does not answer, or refuses the user.

    Notes
    -----
    py2neo is no longer maintained; what it writes is not checked against the graph's schema. For a Neo4j server only:
    the embedded engine is reached through `cypher.store.Store`.
    """
    address = parse_address(url, user=user, password=password)
    try:
        import py2neo
        from py2neo.errors import ConnectionUnavailable
    except ImportError as error:
        raise MissingDependencyError(
            "py2neo is not installed", remedy="pip install 'modellake[py2neo]', or use cypher.store.Store"
        ) from error
    try:
        return py2neo.Graph(address.uri, auth=(address.user, address.password), name=address.database)
    except ConnectionUnavailable as error:
        raise StoreUnavailableError(
            "nothing answers, or the user was refused", where=address.uri, remedy="start the server, check the URL"
        ) from error
    except Exception as error:
        if "auth" in str(error).lower() or "unauthorized" in str(error).lower():
            raise StoreAuthenticationError("user or password refused", where=address.uri) from error
        raise
