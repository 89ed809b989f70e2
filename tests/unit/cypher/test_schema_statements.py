from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cypher.migrations import migrate, migrations
from cypher.schema_statements import embedded_statements, neo4j_statements, shared_statements
from graph_schema.labels import Relation
from graph_schema.schema import NODES, SCHEMA_VERSION


def test_migrations_make_the_whole_schema():
    for kind, own in (("neo4j", neo4j_statements()), ("embedded", embedded_statements())):
        made = {text for migration in migrations(kind) for _, text in migration.statements}
        assert made >= {*shared_statements(), *own}


def test_migrations_are_numbered_without_gaps():
    for kind in ("neo4j", "embedded"):
        assert [item.number for item in migrations(kind)] == list(range(1, SCHEMA_VERSION + 1))


def test_every_label_and_relation_is_made_up_front():
    text = "\n".join(embedded_statements())
    assert all(f"`{node.label}`" in text for node in NODES)
    assert all(f"`{relation}`" in text for relation in Relation)


def test_migrations_run_once():
    ran: list[str] = []
    version = 0

    def execute(language, text):
        nonlocal version
        if text.startswith("MATCH (schema"):
            return [{"version": version}] if version else []
        if text.startswith("MERGE"):
            version = SCHEMA_VERSION
        ran.append(text)
        return []

    assert migrate(execute, "neo4j", where="here") == SCHEMA_VERSION
    once = list(ran)
    assert migrate(execute, "neo4j", where="here") == 0
    assert ran == once


def test_importing_the_store_loads_no_driver():
    code = "import sys, cypher.store; print(any(name in sys.modules for name in ('neo4j', 'arcadedb', 'py2neo')))"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
