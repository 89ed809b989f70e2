"""Addresses of stores: where the server is, who logs in, which database."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from graph_schema.errors import InputError

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
_DEFAULT_PORT = 7687


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, a user and a database.

    Attributes
    ----------
    uri : str
        Scheme, host and port; no credentials, so that it may be shown.
    user, password : str
        Who logs in; never part of a message.
    database : str
        Always named, so that the server's default cannot decide.
    """

    uri: str
    user: str
    password: str = field(repr=False)
    database: str = "neo4j"


def parse_address(url: str, *, user: str | None = None, password: str | None = None) -> Address:
    """Read a URL such as `bolt://user:password@host:7687/database`.

    Parameters
    ----------
    url : str
        User and password may be percent-encoded; the database defaults to `neo4j`.
    user, password : str, optional
        Taken before those of the URL.

    Raises
    ------
    InputError
        If the scheme, the host or the port is not one.

    Examples
    --------
    >>> address = parse_address("bolt://neo4j:p%40ss@localhost:7688/models")
    >>> address.uri, address.password, address.database
    ('bolt://localhost:7688', 'p@ss', 'models')
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme not in SCHEMES or not host:
        # The URL itself stays out of the message: it may carry a password.
        raise InputError("not the URL of a store", remedy="write it as bolt://user:password@host:7687/database")
    shown = f"[{host}]" if ":" in host else host
    return Address(
        uri=f"{parts.scheme}://{shown}:{port}",
        user=user or unquote(parts.username or "") or "neo4j",
        password=password if password is not None else unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or "neo4j",
    )
