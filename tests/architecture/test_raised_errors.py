"""What the packages raise: the project's own errors, or a few of Python's for a caller's own mistakes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from graph_schema import errors

ROOT = Path(__file__).parents[2]
PACKAGES = ("graph_schema", "ingest", "lineage", "cypher", "modellake", "dashboard")
OWN = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
# A wrong call is a programming error: Python's own names say so. Nothing that a file or a database holds may cause one.
# One of the driver's own errors is raised again in its name, so that its retry policy sees it.
DRIVER = {"TransientError"}
PYTHON = {"ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "SystemExit", "AssertionError"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def raised(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            yield node.exc.func.id, node.lineno


def own_classes(tree: ast.AST) -> set[str]:
    """Exceptions that a module defines for itself, private ones that never leave it."""
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name.startswith("_")}


def test_every_error_comes_from_the_tree() -> None:
    strangers = []
    for path, tree in trees():
        known = OWN | PYTHON | (DRIVER if path.parent.name == "cypher" else set()) | own_classes(tree)
        for name, line in raised(tree):
            if name[0].isupper() and name not in known:
                strangers.append(f"{path.relative_to(ROOT)}:{line} {name}")
    assert strangers == []


def test_no_public_exception_is_defined_elsewhere() -> None:
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in trees()
        if path.name != "errors.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "Exception")) and node.name[0] != "_"
    ]
    assert elsewhere == []


def test_nothing_is_left_to_be_done() -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "raise " + "NotImplemented" + "Error"]
    left = [
        f"{path.relative_to(ROOT)}: {mark}"
        for package in (*PACKAGES, "benchmarks")
        for path in sorted((ROOT / package).rglob("*.py"))
        for mark in marks
        if mark in path.read_text(encoding="utf-8")
    ]
    assert left == []


def test_errors_are_one_line_whatever_their_parts_hold() -> None:
    for name in sorted(OWN):
        error = getattr(errors, name)("a\nb", where="file\n\x1b[31m", remedy="do\rthis")
        assert len(str(error).splitlines()) == 1
        assert "\x1b" not in str(error)
