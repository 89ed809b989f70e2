"""What the commands print: progress on stderr, results on stdout, JSON on stdout alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table as RichTable

from cypher.store import Table
from graph_schema.errors import InputError, QueryError
from graph_schema.formats import render
from graph_schema.identity import clean_name
from graph_schema.lineage_graph import LineageGraph
from graph_schema.plain_text import escaped, json_text
from lineage.conclusions import Abstention
from lineage.reconciliation import Finding, Verdict
from modellake.child_process import run_attended
from modellake.doctor import Check
from modellake.explanation import Explanation
from modellake.inferring import InferSummary
from modellake.ingestion import IngestProgress, IngestSummary, Problem
from modellake.lake import Lake
from modellake.settings import Settings
from modellake.watching import Arrival

VERDICT_STYLES = {
    Verdict.CONTRADICTED: "bold red",
    Verdict.UNNAMED: "yellow",
    Verdict.UNDECLARED: "yellow",
    Verdict.UNCONFIRMED: "magenta",
    Verdict.ABSENT: "dim",
    Verdict.CONFIRMED: "green",
}


def ingest_with_progress(lake: Lake, paths: Sequence[Path], workers: int | None) -> IngestSummary:
    """Ingest under a bar of bytes with the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with _bar(*columns) as bar:
        task = bar.add_task("looking for models", total=None)
        hooks = IngestProgress(
            total=lambda size: bar.update(task, total=size),
            model=lambda name: bar.update(task, description=escape(clean_name(name)[-40:])),
            bytes_read=lambda size: bar.update(task, advance=size),
        )
        return lake.ingest(paths, workers=workers, progress=hooks)


def show_watching(lake: Lake, paths: Sequence[Path], *, settle: float | None, as_json: bool) -> None:
    """Ingest what is there and what arrives until interrupted: a line for each thing that happens."""
    _note(f"watching {', '.join(map(str, paths))}; Ctrl-C ends it")
    for arrival in lake.watch(paths) if settle is None else lake.watch(paths, settle=settle):
        if as_json:
            for event in _events(arrival):
                sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
            sys.stdout.flush()
            continue
        _list_problems(arrival.problems)
        if arrival.model:
            count = len(set(arrival.versions))
            _out().print(f"{escape(clean_name(arrival.model))}: {count} version{'' if count == 1 else 's'}")
        if arrival.dataset:
            _out().print(f"{escape(clean_name(arrival.dataset))}: data set")
        if arrival.described:
            _out().print(f"{arrival.described} models known by their metadata")


def _events(arrival: Arrival) -> Iterator[dict[str, Any]]:
    if arrival.model:
        yield {"event": "read", "model": arrival.model, "versions": sorted(set(arrival.versions))}
    if arrival.dataset:
        yield {"event": "read", "dataset": arrival.dataset}
    if arrival.described:
        yield {"event": "described", "models": arrival.described}
    for problem in _problems(arrival.problems):
        yield {"event": "problem", **problem}


def infer_with_progress(
    lake: Lake, *, weights_only: bool, least_confidence: float | None, weights_in: Sequence[Path] = ()
) -> InferSummary:
    """Infer under a bar of families."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with _bar(*columns) as bar:
        task = bar.add_task("families", total=None)
        return lake.infer(
            weights_only=weights_only,
            least_confidence=least_confidence,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            weights_in=weights_in,
        )


def show_ingest(summary: IngestSummary, *, as_json: bool) -> None:
    """What was read, and one line for each thing left out."""
    if as_json:
        _json(
            {
                "models": summary.models,
                "versions": sorted(set(summary.versions)),
                "unchanged": summary.unchanged,
                "described": summary.described,
                "datasets": summary.datasets,
                "problems": _problems(summary.problems),
            }
        )
        return
    _list_problems(summary.problems)
    versions = len(set(summary.versions))
    line = f"{len(summary.models)} models read, {versions} different versions"
    if summary.datasets:
        line += f"; {len(summary.datasets)} datasets read"
    if summary.described:
        line += f"; {summary.described} models known by their metadata"
    if summary.unchanged:
        line += f"; {len(summary.unchanged)} unchanged since the last time"
    if summary.problems:
        line += f"; {len(summary.problems)} problems"
    _out().print(line)


def show_inference(lake: Lake, summary: InferSummary, *, as_json: bool) -> None:
    """Counts, abstentions and the claims that the weights do not bear out."""
    found = summary.inference
    if as_json:
        _json(
            {
                "versions": summary.versions,
                "families": [list(family) for family in found.families],
                "derivations": [
                    {
                        "child": item.child,
                        "parents": [asdict(parent) for parent in item.parents],
                        "relation": item.relation,
                        "confidence": item.confidence,
                        "method": item.method,
                        "summary": item.summary,
                        "runner_up": item.runner_up,
                    }
                    for item in found.derivations
                ],
                "roots": found.roots,
                "abstentions": [
                    {"version": item.version, "reason": item.reason, "likeliest": _likeliest(item)}
                    for item in found.abstentions
                ],
                "implied": [asdict(item) for item in found.implied],
                "incomparable": dict(summary.incomparable),
                "problems": _problems(summary.problems),
            }
        )
        return
    console = _out()
    _list_problems(summary.problems)
    kin = sum(len(family) > 1 for family in found.families)
    alone = sum(len(family) == 1 for family in found.families)
    implied = {parent.id for parent in found.implied}
    children = sum(item.child not in implied for item in found.derivations)
    line = f"{summary.versions} versions compared: {children} parents found in {kin} families, "
    line += f"{alone} versions without kin"
    if implied:
        line += f", {len(implied)} hidden parent{'' if len(implied) == 1 else 's'} implied"
    if summary.incomparable:
        line += f", {len(summary.incomparable)} with nothing to compare"
    console.print(line, soft_wrap=True)
    names = {node.id: clean_name(node.name) for node in lake.whole_lineage().nodes}
    for abstention in found.abstentions:
        reason = abstention.reason
        likeliest = abstention.likeliest
        if likeliest is not None:
            listed = " and ".join(names.get(item.id, "a version that is not in the lake") for item in likeliest.parents)
            reason += f"; likeliest {listed}, {likeliest.confidence:.0%}"
        name = names.get(abstention.version, abstention.version)
        console.print(f"cannot tell: {escape(name)}: {escape(reason)}", soft_wrap=True)
    show_findings([item for item in lake.findings() if item.verdict is not Verdict.CONFIRMED], as_json=False)


def _likeliest(abstention: Abstention) -> dict[str, Any] | None:
    found = abstention.likeliest
    if found is None:
        return None
    parents = [asdict(parent) for parent in found.parents]
    return {"parents": parents, "relation": found.relation, "confidence": found.confidence}


def show_explanation(explanation: Explanation, *, as_json: bool) -> None:
    """Why a version has its parents, or none."""
    if as_json:
        _json(asdict(explanation))
        return
    for line in explanation.lines():
        sys.stdout.write(escaped(line) + "\n")


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Claims held against the weights, gravest first."""
    if as_json:
        _json([asdict(item) for item in findings])
        return
    console = _out()
    for item in findings:
        style = VERDICT_STYLES[item.verdict]
        console.print(f"[{style}]{item.verdict:>12}[/]  {escape(clean_name(item.statement))}", soft_wrap=True)


def show_lineage(graph: LineageGraph, form: str, output: Path | None) -> None:
    """A graph as a tree, a text format or a picture."""
    if form == "png":
        from modellake.drawing import draw

        if output is None:
            raise InputError("a picture needs a file", remedy="add -o FILE.png")
        _writing(output, lambda: draw(graph, output))
        _note(f"wrote {output}")
        return
    if form != "tree":
        write_text(render(graph, form), output)
        return
    from modellake.tree_view import lineage_trees

    if output is None:
        console = _out()
        for tree in lineage_trees(graph):
            console.print(tree)
        return
    with output.open("w", encoding="utf-8") as file:
        console = Console(file=file, width=200)
        for tree in lineage_trees(graph):
            console.print(tree)


def show_table(table: Table, *, as_json: bool) -> None:
    """The rows of a query."""
    if as_json:
        _json([dict(zip(table.columns, row, strict=True)) for row in table.rows])
        return
    if not table.rows:
        _note("no rows")
        return
    shown = RichTable(*(escape(escaped(column)) for column in table.columns))
    for row in table.rows:
        shown.add_row(*(escape(_cell(value)) for value in row))
    _out().print(shown)
    if table.truncated:
        _note(f"only the first {len(table.rows)} rows; --limit asks for more")


def show_checks(checks: Iterable[Check], *, as_json: bool) -> bool:
    """The doctor's report; False where something needed is missing."""
    listed = list(checks)
    if as_json:
        _json([asdict(check) for check in listed])
    else:
        console = _out()
        marks = {True: "[green]ok[/]", False: "[bold red]missing[/]", None: "[yellow]optional[/]"}
        for check in listed:
            console.print(f"{marks[check.well]:<24} {check.name:<14} {escape(check.detail)}", soft_wrap=True)
    return all(check.well is not False for check in listed)


def parse_parameters(pairs: Sequence[str]) -> dict[str, object]:
    """Parameters of a query: `name=value`, the value as JSON where it is JSON, else as the string it is.

    Examples
    --------
    >>> parse_parameters(["limit=3", "name=org/model"])
    {'limit': 3, 'name': 'org/model'}
    """
    found: dict[str, object] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.isidentifier():
            raise QueryError(f"a parameter is NAME=VALUE, got {pair!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def write_text(text: str, output: Path | None) -> None:
    """Text to a file, or to stdout."""
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    _writing(output, lambda: output.write_text(text, encoding="utf-8"))
    _note(f"wrote {output}")


def open_dashboard(settings: Settings, *, port: int, headless: bool) -> int:
    """Run the dashboard until it is stopped.

    The dashboard stands a floor above: it is run as a program, not imported.
    """
    environment = {**os.environ, "MODELLAKE_DIRECTORY": str(settings.directory)}
    if settings.store is not None:
        environment["MODELLAKE_STORE"] = settings.store
    command = [sys.executable, "-m", "dashboard", "--port", str(port), *(["--headless"] if headless else [])]
    return run_attended(command, environment)


def _writing(path: Path, write: Any) -> None:
    try:
        write()
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _problems(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [
        {"location": item.location, "what": item.error.what, "where": item.error.where, "remedy": item.error.remedy}
        for item in problems
    ]


def _list_problems(problems: Iterable[Problem]) -> None:
    for problem in problems:
        _note(f"left out: {problem}")


def _bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr that leaves nothing behind; nothing at all where nobody watches."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _out() -> Console:
    return Console(highlight=False)


def _note(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(escaped(line)))


def _cell(value: object) -> str:
    return escaped(value) if isinstance(value, str) else json_text(value, indent=None)


def _json(value: object) -> None:
    sys.stdout.write(json_text(value) + "\n")
