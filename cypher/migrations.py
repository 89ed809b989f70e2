"""Migrations: numbered, run once each, recorded in the graph.

A migration is one file in the shared dialect, `NNNN_name.cypher`, and where the databases must differ one beside it for
each: `NNNN_name.neo4j.cypher` and `NNNN_name.embedded.sql` (run first). Statements end with a semicolon at the end of
a line. A released migration never changes; what comes later is a new number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from cypher.schema_statements import META_LABEL
from graph_schema.errors import SchemaVersionError
from graph_schema.schema import SCHEMA_VERSION

Kind = Literal["neo4j", "embedded"]
Language = Literal["cypher", "sql"]
Execute = Callable[[Language, str], Sequence[Mapping[str, object]]]

_READ_VERSION = f"MATCH (schema:{META_LABEL} {{id: 'modellake'}}) RETURN schema.version AS version"
_SUFFIXES: Mapping[Kind, tuple[tuple[str, Language], ...]] = {
    "embedded": ((".embedded.sql", "sql"), (".cypher", "cypher")),
    "neo4j": ((".cypher", "cypher"), (".neo4j.cypher", "cypher")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema: its number and its statements, each with its language, in order."""

    number: int
    name: str
    statements: tuple[tuple[Language, str], ...]


@cache
def migrations(kind: Kind) -> tuple[Migration, ...]:
    """Every migration for a kind of database, by number."""
    folder = files("cypher") / "migrations"
    stems = sorted({item.name.split(".")[0] for item in folder.iterdir() if item.name[:4].isdigit()})
    found = []
    for stem in stems:
        statements: list[tuple[Language, str]] = []
        for suffix, language in _SUFFIXES[kind]:
            path = folder / (stem + suffix)
            if path.is_file():
                statements += ((language, text) for text in _split(path.read_text(encoding="utf-8")))
        found.append(Migration(number=int(stem[:4]), name=stem[5:], statements=tuple(statements)))
    return tuple(found)


def _split(text: str) -> Iterator[str]:
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("//", "--")))
    return (part.strip() for part in "\n".join(lines).removesuffix(";").split(";\n") if part.strip())


def read_version(execute: Execute) -> int:
    """Number of the last migration that a store has seen; 0 for an empty one."""
    versions = [row["version"] for row in execute("cypher", _READ_VERSION)]
    return max((value for value in versions if isinstance(value, int)), default=0)


def check_version(version: int, *, where: str) -> None:
    """Refuse a store that a newer modellake has written.

    Raises
    ------
    SchemaVersionError
        If `version` is above what this code knows.
    """
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"the store has schema {version}, this modellake knows {SCHEMA_VERSION}",
            where=where,
            remedy="upgrade modellake, or use another store",
        )


def migrate(execute: Execute, kind: Kind, *, where: str) -> int:
    """Bring a store to the present schema; running it twice is running it once.

    Parameters
    ----------
    execute : callable
        Runs one statement of a language to the end, in a transaction of its own, and returns its rows.
    kind : {"neo4j", "embedded"}
    where : str
        Name of the store, for messages.

    Returns
    -------
    int
        How many migrations ran.

    Raises
    ------
    SchemaVersionError
        If a newer modellake wrote the store; nothing is changed then.
    """
    version = read_version(execute)
    check_version(version, where=where)
    due = [migration for migration in migrations(kind) if migration.number > version]
    for migration in due:
        for language, statement in migration.statements:
            execute(language, statement)
        # Recorded after its statements: each of them may run again if this process ends in between.
        execute(
            "cypher",
            f"MERGE (schema:{META_LABEL} {{id: 'modellake'}}) SET schema.version = {migration.number:d}",
        )
    return len(due)
