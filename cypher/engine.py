"""The embedded engine in the process that owns it: ArcadeDB's native library, serving Bolt on a loopback port."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import TYPE_CHECKING

from cypher.migrations import migrate
from cypher.private_files import private_directory, write_private
from graph_schema.errors import MissingDependencyError, StoreDamagedError, StoreError

if TYPE_CHECKING:
    from cypher.migrations import Language

DATABASE = "modellake"
WRITER = "root"
READER = "reader"
_HASH_ROUNDS = 65_536

_RECORDS = ("createRecord", "readRecord", "updateRecord", "deleteRecord")
_RIGHTS = ("updateSecurity", "updateSchema", "updateDatabaseSettings")
_SETTINGS: Mapping[str, object] = {
    "host": "127.0.0.1",
    "http_port": "0",
    "mode": "development",  # not "production": that hides the reason of a syntax error from the reader who made it
    "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    "bolt_host": "127.0.0.1",
}
# Of these the engine heeds only what is set on the database itself; what its server is started with does not reach it.
_DATABASE_SETTINGS = {
    "arcadedb.txWalFlush": "2",  # a commit survives a power cut
    "arcadedb.opencypher.loadCsv.allowFileUrls": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the engine answers, and with which passwords; read from a file of mode 0600."""

    port: int
    process: int
    writer_password: str
    reader_password: str

    @property
    def uri(self) -> str:
        """Bolt address on the loopback interface."""
        return f"bolt://127.0.0.1:{self.port}"

    def to_json(self) -> str:
        """The text of the endpoint file."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


class Engine:
    """A running engine; `stop` ends it cleanly.

    Parameters
    ----------
    directory : Path
        Where the data lie; made where it is absent.

    Raises
    ------
    StoreDamagedError
        If the data cannot be read.
    SchemaVersionError
        If a newer modellake wrote them.
    MissingDependencyError
        If the engine's package is absent.
    """

    def __init__(self, directory: Path) -> None:
        arcadedb = _load(directory)
        self._directory = directory
        self._error: type[Exception] = arcadedb.ArcadeDBError
        self.endpoint = Endpoint(
            port=_free_port(),
            process=os.getpid(),
            writer_password=secrets.token_urlsafe(24),
            reader_password=secrets.token_urlsafe(24),
        )
        _write_users(private_directory(directory / "config"), self.endpoint)
        self._server = arcadedb.create_server(
            str(directory),
            root_password=self.endpoint.writer_password,
            config={**_SETTINGS, "bolt_port": self.endpoint.port},
        )
        try:
            self._server.start()
            self._database = self._server.create_database(DATABASE)
            for name, value in _DATABASE_SETTINGS.items():
                self._execute("sql", f"ALTER DATABASE `{name}` {value}")
            migrate(self._execute, "embedded", where=str(directory))
        except self._error as error:
            self._stop_quietly()
            raise StoreDamagedError(
                f"the store cannot be read: {_first_line(error)}",
                where=str(directory),
                remedy="restore it from a copy, or scan again into a new --store",
            ) from error
        except BaseException:
            self._stop_quietly()
            raise

    def stop(self) -> None:
        """End the engine; what was committed is on disk.

        Raises
        ------
        StoreError
            If it does not end cleanly.
        """
        try:
            self._server.stop()
        except self._error as error:
            raise StoreError(
                f"the embedded engine did not stop cleanly: {_first_line(error)}", where=str(self._directory)
            ) from error

    def _stop_quietly(self) -> None:
        # The error that led here is the one to report.
        try:
            self._server.stop()
        except self._error:
            return

    def _execute(self, language: Language, text: str) -> Sequence[Mapping[str, object]]:
        result = self._database.command("opencypher" if language == "cypher" else "sql", text)
        return [dict(row.to_dict()) for row in result or ()]


def _load(directory: Path):  # type: ignore[no-untyped-def]  # the package has no types
    # The engine reads these once, when its library loads; by default it logs to the console.
    os.environ.setdefault("ARCADEDB_LOG_CONSOLE", "0")
    os.environ.setdefault("ARCADEDB_LOG_DIR", str(private_directory(directory / "log").resolve()))
    try:
        import arcadedb
    except ImportError as error:
        raise MissingDependencyError(
            "the embedded database is absent: no package arcadedb for this platform",
            remedy="pip install arcadedb, or give a Neo4j server with --store bolt://...",
        ) from error
    return arcadedb


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_users(config: Path, endpoint: Endpoint) -> None:
    everything = {"*": {"access": _RECORDS}}
    groups = {
        "admin": _group(_RIGHTS, everything),
        "reader": _group((), {"*": {"access": ("readRecord",)}}),
        "*": _group((), {"*": {"access": ()}}),
    }
    write_private(config / "server-groups.json", json.dumps({"databases": {"*": {"groups": groups}}, "version": 2}))
    users = (
        {"name": WRITER, "databases": {"*": ["admin"]}, "password": _hashed(endpoint.writer_password)},
        {"name": READER, "databases": {DATABASE: ["reader"]}, "password": _hashed(endpoint.reader_password)},
    )
    write_private(config / "server-users.jsonl", "".join(json.dumps(user) + "\n" for user in users))


def _group(access: Sequence[str], kinds: Mapping[str, object]) -> dict[str, object]:
    return {"resultSetLimit": -1, "readTimeout": -1, "access": access, "types": kinds}


def _hashed(password: str) -> str:
    # The engine takes the salt's base64 text, not the bytes behind it, as the salt.
    salt = base64.b64encode(secrets.token_bytes(32)).decode()
    digest = pbkdf2_hmac("sha256", password.encode(), salt.encode(), _HASH_ROUNDS)
    return f"PBKDF2WithHmacSHA256${_HASH_ROUNDS}${salt}${base64.b64encode(digest).decode()}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
