"""Names and texts made to forge lines, move the cursor, turn the reading order round, or break out of an export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from graph_schema.formats import FORMATS, render
from graph_schema.lineage_graph import LineageGraph, LineageNode
from modellake import Lake
from tests.unit.modellake.conftest import Outcome, invoke
from tests.unit.modellake.small_models import card, halved, weights, write_model

CONTROLS = "\x1b[2J\x1b]0;t\x07\x9b31m\r\x08\x00\u202e\u2066\u2028"
MARKUP = "<script>alert(1)</script>\"'`]]-->\n# x [red]y[/red] $(touch z) ${z} }{ \\"
FORGED = "good\nERROR: all is lost"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Outcome]]:
    """A lake of which folders, cards, licences and tensors bear such names."""
    folder = tmp_path_factory.mktemp("hostile")
    base = weights(1)
    evil = f"evil {CONTROLS}{FORGED}".replace("\x00", "") + "<b>[red]`$(z)"
    hostile = card(
        license=CONTROLS + MARKUP,
        tags=[CONTROLS],
        datasets=[f"a/{CONTROLS}", "a/<script>x</script>"],
        base_model=[f"acme/{CONTROLS}b", "acme/base", "MATCH (n) DETACH DELETE n //"],
        library_name=FORGED,
    )
    write_model(folder / "lake/acme/base", base)
    write_model(
        folder / "lake" / evil / "half", halved(base), hostile + f"A fine-tuned version of {CONTROLS}.\n{MARKUP}"
    )
    write_model(folder / "lake" / evil / "broken", base)
    (folder / "lake" / evil / "broken" / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    named = {f"w{CONTROLS}{MARKUP}": base["model.embed_tokens.weight"]}
    write_model(folder / "lake/acme/tensors", named, hostile)
    with Lake(folder / "data") as opened:
        opened.backend  # noqa: B018
        yield partial(invoke, folder / "data")


def check(outcome: Outcome) -> None:
    shown = outcome.out + outcome.err
    assert all(character.isprintable() or character == "\n" for character in shown), ascii(shown)
    assert not any(line.startswith("ERROR") for line in shown.splitlines())


def test_no_command_prints_what_rewrites_the_terminal(run: Callable[..., Outcome], tmp_path: Path) -> None:
    lake = Path(str(run.args[0])).parent / "lake"  # type: ignore[attr-defined]
    for arguments in (
        ["ingest", lake],
        ["ingest", lake, "--json"],
        ["infer"],
        ["infer", "--json"],
        *(["lineage", "--format", form] for form in ("tree", "json", "mermaid", "dot")),
        *(["lineage", "acme/base", "--format", form] for form in ("tree", "mermaid")),
        ["query", "MATCH (n) RETURN n.id, n.name, n.license, n.statement, labels(n)"],
        ["query", "MATCH (n) RETURN n.id, n.name, n.license, n.statement, labels(n)", "--json"],
        ["query", f"RETURN {CONTROLS!r} AS `a{CONTROLS[:3]}`".replace("\\", "\\\\")],
        ["query", f"RETURN [{CONTROLS}"],
        ["lineage", f"no such {CONTROLS}"],
        ["infer", "--explain", "acme/base"],
        ["export", "acme/base", "--format", "bibtex"],
        ["export", f"no such {CONTROLS}", "--format", "bibtex"],
        [f"no-such-{CONTROLS[:3]}"],
    ):
        outcome = run(*arguments)
        assert "Traceback" not in outcome.err
        check(outcome)
        if "--json" in arguments and outcome.code == 0:
            json.loads(outcome.out)
    # The one that would delete everything was a name.
    assert run("query", "MATCH (n:Model) RETURN count(n) AS n", "--json").json[0]["n"] >= 3


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("name", [CONTROLS, MARKUP, FORGED])
def test_no_export_carries_them(form: str, name: str) -> None:
    nodes = (
        LineageNode(id="a" * 40, name=name, models=(name, "other"), license=name),
        LineageNode(id="b" * 40, name="b"),
    )
    text = render(LineageGraph(focus="a" * 40, nodes=nodes, edges=()), form)
    assert all(character.isprintable() or character == "\n" for character in text), ascii(text)
    assert not any(line.startswith("ERROR") for line in text.splitlines())
    if form != "json":
        assert form in ("bibtex", "dot") or "<script>" not in text
