"""What is true of the embedded engine alone: who owns it, who joins it, what it does when its owner dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cypher.embedded import ENDPOINT_FILE, _owned, read_endpoint
from cypher.store import Store
from graph_schema.errors import QueryError, SchemaVersionError, StoreDamagedError
from graph_schema.graph import Rows
from graph_schema.records import Agent

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys
from pathlib import Path
from cypher.store import Store
from graph_schema.graph import Rows
from graph_schema.records import Agent
with Store.open(None, directory=Path(sys.argv[1])) as store:
    store.write(Rows.of([Agent(id=sys.argv[2], name="x")]))
    print(store._connection._lease.owner, flush=True)
    sys.stdin.readline()
"""


def child(directory: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.communicate("\n", timeout=60)


def database_settings(directory: Path) -> dict[str, object]:
    engine = _owned[os.getpid(), directory.resolve()].engine
    rows = engine._execute("sql", "SELECT expand(settings) FROM schema:database")
    return {row["key"]: row["value"] for row in rows}


def agents(store: Store) -> list[str]:
    return [row[0] for row in store.cypher("MATCH (a:Agent) RETURN a.id ORDER BY a.id").rows]


def test_data_outlive_the_process_and_passwords_are_private(directory):
    with Store.open(None, directory=directory) as store:
        store.write(Rows.of([Agent(id="a", name="a")]))
        for name in (ENDPOINT_FILE, "config/server-users.jsonl"):
            assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert read_endpoint(directory).writer_password not in (directory / "config/server-users.jsonl").read_text()
    assert not (directory / ENDPOINT_FILE).exists()
    with Store.open(None, directory=directory) as store:
        assert agents(store) == ["a"]


def test_two_stores_of_one_process_share_the_engine(directory):
    with Store.open(None, directory=directory) as one:
        with Store.open(None, directory=directory) as two:
            two.write(Rows.of([Agent(id="a", name="a")]))
        assert agents(one) == ["a"]


def test_two_processes_that_start_at_once(directory):
    processes = [child(directory, name) for name in ("a", "b", "c")]
    owners = [process.stdout.readline().strip() for process in processes]
    with Store.open(None, directory=directory) as store:
        assert agents(store) == ["a", "b", "c"]
        assert sorted(owners) == ["False", "False", "True"]
        finish(*processes)
        assert agents(store) == ["a", "b", "c"]  # the owner has gone: this process takes over


def test_an_owner_that_is_killed_leaves_a_store_that_opens(directory):
    process = child(directory, "a")
    process.stdout.readline()
    joined = Store.open(None, directory=directory)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (directory / ENDPOINT_FILE).exists()
    with joined:
        assert agents(joined) == ["a"]
        joined.write(Rows.of([Agent(id="b", name="b")]))
        assert agents(joined) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": "x"}', json.dumps({"port": 1, "process": 1})])
def test_an_endpoint_file_of_no_use_is_replaced(directory, text):
    directory.mkdir()
    (directory / ENDPOINT_FILE).write_text(text)
    assert read_endpoint(directory) is None
    with Store.open(None, directory=directory) as store:
        assert agents(store) == []


def test_an_unreadable_store_is_reported_in_one_line(directory):
    with Store.open(None, directory=directory):
        pass
    for path in (directory / "databases" / "modellake").glob("dictionary.*"):
        path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(StoreDamagedError) as caught:
        Store.open(None, directory=directory)
    assert str(directory) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_newer_store_is_refused_and_left_alone(directory):
    with Store.open(None, directory=directory) as store:
        store._execute("cypher", "MATCH (s:Schema) SET s.version = 999")
    for _ in range(2):
        with pytest.raises(SchemaVersionError):
            Store.open(None, directory=directory)


def test_a_reader_cannot_see_or_stop_the_writer(directory):
    with Store.open(None, directory=directory) as store, store._connection._writer.session(database="modellake") as own:
        transaction = own.begin_transaction()
        transaction.run("CREATE (:Agent {id: 'pending', name: 'x', kind: 'person'})").consume()
        users = {row[0] for row in store.cypher("SHOW TRANSACTIONS YIELD username RETURN username").rows}
        assert users <= {"reader"}
        transaction.commit()
        assert agents(store) == ["pending"]


def test_settings_that_guard_and_keep_the_data(directory):
    with Store.open(None, directory=directory) as store, store._connection._writer.session(database="modellake") as own:
        with pytest.raises(Exception, match="URLs are disabled"):
            own.run("LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line").consume()
        with pytest.raises(QueryError):
            store.cypher("CREATE (:Nope)")
        settings = database_settings(directory)
        assert settings["arcadedb.txWalFlush"] == 2
        listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=False).stdout
        port = store._connection._lease.endpoint.port
        addresses = [line.split()[3] for line in listening.splitlines() if line.split()[3].endswith(f":{port}")]
        assert all("127.0.0.1" in address for address in addresses)
