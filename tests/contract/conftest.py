"""Databases for the contract: each is started once, and emptied between tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cypher.neo4j_server import bound
from cypher.store import Store
from graph_schema.errors import ModelLakeError

BACKENDS = ("embedded", "neo4j-lts", "neo4j-current")


def _neo4j(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("MODELLAKE_TEST_NEO4J_URL"):
        if release == "current":
            pytest.skip("MODELLAKE_TEST_NEO4J_URL stands for both releases")
        yield url
        return
    try:
        server = bound(tmp_path_factory.mktemp(f"neo4j-{release}"), release=release)
        endpoint = server.__enter__()
    except ModelLakeError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Neo4j {release} in CI: {error}")
        pytest.skip(f"no Neo4j {release} here: {error}")
    try:
        yield endpoint.url
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def neo4j_lts(tmp_path_factory) -> Iterator[str]:
    yield from _neo4j("lts", tmp_path_factory)


@pytest.fixture(scope="session")
def neo4j_current(tmp_path_factory) -> Iterator[str]:
    yield from _neo4j("current", tmp_path_factory)


@pytest.fixture(scope="session")
def _opened(tmp_path_factory) -> Iterator[dict[str, Store]]:
    opened: dict[str, Store] = {}
    yield opened
    for store in opened.values():
        store.close()


@pytest.fixture(params=[pytest.param(name, marks=() if name == "embedded" else pytest.mark.neo4j) for name in BACKENDS])
def store(request, _opened, tmp_path_factory) -> Store:
    """An empty store, on each database in turn."""
    name = request.param
    url = None if name == "embedded" else request.getfixturevalue(name.replace("-", "_"))
    if name not in _opened:
        _opened[name] = Store.open(url, directory=tmp_path_factory.mktemp("store"))
    empty(_opened[name])
    return _opened[name]


@pytest.fixture
def neo4j_url(request) -> str:
    return request.getfixturevalue("neo4j_lts")


def empty(store: Store) -> None:
    store._connection.run(
        lambda session: session.execute_write(
            lambda transaction: transaction.run("MATCH (node) WHERE NOT node:Schema DETACH DELETE node").consume()
        ),
        write=True,
    )


@pytest.fixture
def directory(tmp_path) -> Path:
    return tmp_path / "store"
