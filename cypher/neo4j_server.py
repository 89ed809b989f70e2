"""A real Neo4j on this machine without a container image: its jars from Maven, one Java file, one loopback port."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from cypher.java_runtime import find_java
from cypher.owner_lock import OwnerLock
from cypher.private_files import private_directory, write_private
from graph_schema.errors import MissingDependencyError, ResourceError, StoreDamagedError, StoreUnavailableError

Release = Literal["lts", "current"]

ENDPOINT_FILE = "neo4j-endpoint.json"
_PASSWORD_FILE = "neo4j-password"  # noqa: S105 - the name of a file
_LOCK_FILE = "neo4j.lock"
_LOG_FILE = "neo4j.log"
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_MAVEN_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A release of Neo4j and the Java it needs."""

    version: str
    java: int


RELEASES: dict[Release, Distribution] = {
    "lts": Distribution(version="5.26.30", java=17),
    "current": Distribution(version="2026.08.1", java=21),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Neo4jEndpoint:
    """A running server.

    Attributes
    ----------
    uri : str
        Bolt address on the loopback interface, without credentials.
    user, password : str
    version : str
        Of Neo4j.
    process : int
        Id of the Java process.
    """

    uri: str
    user: str
    password: str
    version: str
    process: int

    @property
    def url(self) -> str:
        """The address with its credentials, as `Store.open` takes it."""
        return self.uri.replace("://", f"://{self.user}:{self.password}@", 1)


def start(directory: Path, *, release: Release = "lts") -> Neo4jEndpoint:
    """Start a server that goes on until `stop`; one that runs already is returned as it is.

    Parameters
    ----------
    directory : Path
        Data, log, password (mode 0600) and endpoint file; made where it is absent.
    release : {"lts", "current"}

    Raises
    ------
    MissingDependencyError
        If Java or Maven is absent.
    StoreUnavailableError
        If the server does not come up.
    """
    directory = private_directory(directory).resolve()
    lock = OwnerLock(directory / _LOCK_FILE)
    if not lock.acquire():
        raise StoreUnavailableError("another process is starting this server", where=str(directory), remedy="wait")
    try:
        running = status(directory)
        if running is not None:
            return running
        process, endpoint = _launch(directory, release, until="signal")
        write_private(directory / ENDPOINT_FILE, json.dumps(asdict(endpoint)))
        process.returncode = 0  # it outlives this process on purpose; without a status Python warns of it
        return endpoint
    finally:
        lock.release()


def stop(directory: Path) -> bool:
    """End the server of a directory cleanly; returns whether there was one.

    Raises
    ------
    StoreUnavailableError
        If it does not end.
    """
    running = status(directory)
    (directory / ENDPOINT_FILE).unlink(missing_ok=True)
    if running is None:
        return False
    import signal

    os.kill(running.process, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _answers(_port(running.uri)) or _exists(running.process):
        if time.monotonic() > deadline:
            raise StoreUnavailableError("the server does not end", where=str(directory), remedy="end its Java process")
        time.sleep(0.05)
    return True


def status(directory: Path) -> Neo4jEndpoint | None:
    """The server that runs in a directory; None where none does, or where its endpoint file is left from a dead one."""
    try:
        fields = json.loads((directory / ENDPOINT_FILE).read_text(encoding="utf-8"))
        endpoint = Neo4jEndpoint(**fields)
        alive = _exists(endpoint.process) and _answers(_port(endpoint.uri))
    except (OSError, ValueError, TypeError):
        return None
    return endpoint if alive else None


@contextmanager
def bound(directory: Path, *, release: Release = "lts") -> Iterator[Neo4jEndpoint]:
    """A server for the length of a `with` block, which cannot outlive this process: it ends with its standard input."""
    process, endpoint = _launch(private_directory(directory).resolve(), release, until="stdin")
    try:
        yield endpoint
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cache_directory() -> Path:
    """Where jars are kept: `MODELLAKE_CACHE`, or the user's cache directory."""
    if chosen := os.environ.get("MODELLAKE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))) / "modellake"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "modellake"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modellake"


def jars(distribution: Distribution) -> Path:
    """The directory with a release's jars (some 220, 130 MB); Maven fetches them the first time.

    Raises
    ------
    MissingDependencyError
        If Maven is absent, or cannot fetch them.
    """
    target = cache_directory() / "neo4j" / distribution.version
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingDependencyError(
            "Maven is absent, which fetches Neo4j",
            remedy="install it (apt install maven), or give the URL of a server that runs",
        )
    # In place in one step: a directory of this name is always complete.
    draft = target.with_name(f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.mkdir(parents=True)
    try:
        pom = draft / "pom.xml"
        pom.write_text((files("cypher") / "neo4j_pom.xml").read_text(encoding="utf-8"), encoding="utf-8")
        command = [maven, "-B", "-q", "-f", str(pom), f"-Dneo4j.version={distribution.version}"]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_MAVEN_SECONDS, check=False
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            raise MissingDependencyError(
                f"Maven could not fetch Neo4j {distribution.version}: {lines[0][:300] if lines else 'no reason given'}",
                remedy="check the network and Maven's settings",
            )
        if not target.is_dir():
            draft.rename(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        if not target.is_dir():
            raise ResourceError(f"Neo4j's jars could not be fetched: {error}", where=str(target)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _launch(directory: Path, release: Release, *, until: str) -> tuple[subprocess.Popen[bytes], Neo4jEndpoint]:
    distribution = RELEASES[release]
    java = find_java(distribution.java)
    classpath = jars(distribution)
    password = _password(directory)
    port = _free_port()
    log = directory / _LOG_FILE
    source = files("cypher") / "ServeNeo4j.java"
    command = [
        str(java),
        "-Xmx1g",
        "-cp",
        f"{classpath}{os.sep}*",
        str(source),
        str(directory / "home"),
        str(port),
        until,
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if until == "stdin" else subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=until != "stdin",
        )
    try:
        _wait_for(process, log, directory)
        uri = f"bolt://127.0.0.1:{port}"
        _set_password(uri, password, directory)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process, Neo4jEndpoint(
        uri=uri, user="neo4j", password=password, version=distribution.version, process=process.pid
    )


def _wait_for(process: subprocess.Popen[bytes], log: Path, directory: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while "ready" not in (text := log.read_text(encoding="utf-8", errors="replace")).split():
        if process.poll() is not None or time.monotonic() > deadline:
            reasons = [line.strip() for line in text.splitlines() if "Exception" in line or "error" in line.lower()]
            raise StoreUnavailableError(
                f"Neo4j did not start: {(reasons or ['no reason given'])[-1][:300]}",
                where=str(directory),
                remedy=f"see {log}",
            )
        time.sleep(0.05)


def _password(directory: Path) -> str:
    path = directory / _PASSWORD_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


def _set_password(uri: str, password: str, directory: Path) -> None:
    from neo4j import GraphDatabase
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    try:
        with GraphDatabase.driver(uri, auth=("neo4j", password), notifications_min_severity="OFF") as driver:
            driver.execute_query("RETURN 1", database_="neo4j")
            return
    except AuthError:
        pass  # the first start: the password is still the one every new server has
    except (DriverError, Neo4jError) as error:
        raise StoreUnavailableError(f"Neo4j does not answer: {error}", where=str(directory)) from error
    try:
        with GraphDatabase.driver(uri, auth=("neo4j", "neo4j"), notifications_min_severity="OFF") as driver:
            driver.execute_query(
                "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password", password=password, database_="system"
            )
    except (DriverError, Neo4jError) as error:
        raise StoreDamagedError(
            "the password kept beside the data is not the server's",
            where=str(directory / _PASSWORD_FILE),
            remedy="restore that file, or use another directory",
        ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(uri: str) -> int:
    return int(uri.rsplit(":", 1)[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _exists(process: int) -> bool:
    try:
        # A child of this process that has ended stays until it is waited for.
        if os.name == "posix" and os.waitpid(process, os.WNOHANG)[0] == process:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
