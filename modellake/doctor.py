"""What is installed, where it came from, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from graph_schema.errors import ModelLakeError
from modellake.lake import Lake

PACKAGES = ("graph_schema", "ingest", "lineage", "cypher", "modellake", "dashboard")
LIBRARIES = (
    *("numpy", "scipy", "numba", "blake3", "neo4j", "arcadedb", "streamlit", "gguf", "h5py", "pyarrow", "pybtex"),
    "watchfiles",
)
PROGRAMS = (
    ("git", "reads the history of models in Git repositories (Debian: apt-get install git)"),
    ("java", "Java 17 or later runs a local Neo4j (Debian: apt-get install openjdk-17-jre-headless)"),
    ("mvn", "Maven fetches Neo4j (Debian: apt-get install maven)"),
    ("chromium", "a browser for the dashboard's own tests (Debian: apt-get install chromium chromium-driver)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor's report; `well` is False where something needed is missing, None where it is optional."""

    name: str
    well: bool | None
    detail: str


def examine(lake: Lake) -> Iterator[Check]:
    """Look at the interpreter, the packages, the programs and the store, one check after the other."""
    version = platform.python_version()
    yield Check(name="python", well=sys.version_info >= (3, 11), detail=f"{version} at {sys.executable}")
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        place = spec.origin if spec is not None else None
        yield Check(name=package, well=place is not None, detail=place or "not found: install modellake anew")
    for library in LIBRARIES:
        try:
            yield Check(name=library, well=True, detail=importlib.metadata.version(library))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name=library, well=False, detail=f"missing: pip install {library}")
    for program, purpose in PROGRAMS:
        found = shutil.which(program)
        yield Check(name=program, well=True if found else None, detail=found or f"missing: {purpose}")
    yield _store(lake)


def _store(lake: Lake) -> Check:
    try:
        backend = lake.backend
        where = "embedded in " + str(lake.settings.database) if lake.settings.store is None else lake.settings.store_key
        return Check(name="store", well=True, detail=f"{backend.name} {backend.version}, {where}")
    except ModelLakeError as error:
        return Check(name="store", well=False, detail=str(error))
