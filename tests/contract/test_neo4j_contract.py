"""What is true of a Neo4j server alone, and of addresses where none is."""

from __future__ import annotations

import socket

import pytest

from cypher import neo4j_server
from cypher.store import Store
from graph_schema.errors import (
    InputError,
    MissingDependencyError,
    QueryRefusedError,
    StoreAuthenticationError,
    StoreUnavailableError,
)


def test_no_server(directory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(StoreUnavailableError) as caught:
        Store.open(f"bolt://neo4j:secretsecret@127.0.0.1:{port}", directory=directory)
    assert "secretsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "localhost:7687", "http://localhost", "bolt://", "bolt://h:notaport"])
def test_not_a_url(directory, url):
    with pytest.raises(InputError):
        Store.open(url, directory=directory)


@pytest.mark.neo4j
def test_wrong_password(neo4j_url, directory):
    with pytest.raises(StoreAuthenticationError) as caught:
        Store.open(neo4j_url, directory=directory, password="wrongwrong")
    assert "wrongwrong" not in str(caught.value)


@pytest.mark.neo4j
def test_unknown_database(neo4j_url, directory):
    with pytest.raises(StoreUnavailableError):
        Store.open(f"{neo4j_url}/nosuchdatabase", directory=directory)


@pytest.mark.neo4j
@pytest.mark.parametrize(
    "text",
    [
        "TERMINATE TRANSACTION 'neo4j-transaction-1'",
        "SHOW TRANSACTIONS YIELD transactionId AS t TERMINATE TRANSACTIONS t YIELD message RETURN message",
        "SHOW SETTINGS",
        "CALL db.awaitIndexes()",
    ],
)
def test_what_the_planner_calls_reading_and_is_not(neo4j_url, directory, text):
    with Store.open(neo4j_url, directory=directory) as store, pytest.raises(QueryRefusedError):
        store.cypher(text)


@pytest.mark.neo4j
def test_py2neo_connects(neo4j_url):
    pytest.importorskip("py2neo")
    from cypher.py2neo_bridge import py2neo_graph

    assert py2neo_graph(neo4j_url).run("RETURN 1 AS one").evaluate() == 1


def test_without_maven_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("MODELLAKE_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(MissingDependencyError, match="apt install maven"):
        neo4j_server.jars(neo4j_server.RELEASES["lts"])


def test_status_of_nothing(tmp_path):
    assert neo4j_server.status(tmp_path) is None
    assert neo4j_server.stop(tmp_path) is False
