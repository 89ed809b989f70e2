"""What the source must look like: sizes, names, docstrings that run, errors from one tree, words it never holds."""

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import graph_schema.errors as errors
import modellake

ROOT = Path(__file__).parents[2]
PACKAGES = ("graph_schema", "ingest", "lineage", "cypher", "modellake", "dashboard")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Modules that are programs: importing them would run them.
PROGRAMS = {"dashboard.app", "dashboard.__main__", "ingest.worker"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines()]


def modules() -> Iterator[str]:
    for package in PACKAGES:
        yield package
        found = importlib.import_module(package)
        for item in pkgutil.walk_packages(found.__path__, f"{package}."):
            if item.name not in PROGRAMS:
                yield item.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_file_is_one_subject_of_less_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400
    assert path.stem not in {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def undocumented(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Public classes, functions and methods without a docstring; what is private, or inside a function, is nobody's."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None:
                yield node
            if isinstance(node, ast.ClassDef):
                yield from undocumented(node.body)


def test_public_things_have_docstrings() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in undocumented(ast.parse(path.read_text(encoding="utf-8")).body)
    ]
    assert bare == []


def test_the_tree_of_errors_stands_in_its_docstring() -> None:
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert errors.__doc__ is not None
    assert set(re.findall(r"\w+Error", errors.__doc__)) == classes


def test_the_public_api_is_what_it_was() -> None:
    assert modellake.__all__ == ["Lake"]
    verbs = {name for name in vars(modellake.Lake) if not name.startswith("_")}
    assert {"ingest", "infer", "lineage", "query", "export", "find", "resolve", "edit", "findings", "close"} <= verbs


def test_the_files_hold_no_word_of_the_workplace() -> None:
    # Put together from parts, so that this file does not hold them either.
    never = [
        "/" + "work/",
        "/" + "root/",
        "/tmp/" + "bash",
        "py" + "pi.org",
        "python" + "hosted",
        "registry." + "npmjs",
    ]
    never += ["repo1." + "maven", "deb." + "debian", "CLA" + "UDE"]
    found = []
    for path in tracked():
        if path.suffix in {".png", ".lock"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in never if word in text]
    assert found == []


def test_the_readme_names_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    from modellake.command_line import main

    named = set(re.findall(r"^\$ modellake (\w+)", text, flags=re.M)) | {"neo4j", "doctor"}
    assert named <= set(main.commands)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, flags=re.M):
        assert f"\n{target}:" in makefile


def test_the_page_of_the_schema_is_true() -> None:
    from graph_schema.schema_page import schema_page

    written = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
    assert written == schema_page(), "make it anew: python -m graph_schema.schema_page > docs/schema.md"
