"""What `modellake datasets` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from graph_schema.dataset_detail import DatasetDetail, DatasetEntry, DatasetLink

_SHOWN = 40


def show_datasets(entries: Sequence[DatasetEntry], *, as_json: bool) -> None:
    """A line a data set; data that is only named comes last."""
    if as_json:
        _json([_plain_entry(entry) for entry in entries])
        return
    console = Console(highlight=False)
    if not entries:
        Console(stderr=True, highlight=False).print("no datasets; modellake ingest DIR reads them")
        return
    rows = [_row(entry) for entry in sorted(entries, key=lambda item: (item.ghost, item.id))]
    widths = [max(len(cells[place]) for cells in rows) for place in range(len(rows[0]))]
    for cells in rows:
        name, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        console.print("  ".join((name, *others)).rstrip(), soft_wrap=True)


def _row(entry: DatasetEntry) -> tuple[str, ...]:
    models = f"{entry.models} models" if entry.models != 1 else "1 model"
    if entry.ghost:
        return (_safe(entry.id), "only named", "", "", models, "")
    states = f", state {entry.versions}" if entry.versions > 1 else ""
    rows = f"{entry.rows or 0:,} rows{states}"
    return (
        _safe(entry.id),
        rows,
        _safe(entry.format or ""),
        decimal(entry.bytes or 0),
        models,
        _safe(entry.license or ""),
    )


def show_dataset(detail: DatasetDetail, *, as_json: bool) -> None:
    """Schema, rows, relations and the models that claim one data set."""
    if as_json:
        _json(
            {
                **_plain_entry(detail.entry),
                "states": [asdict(item) for item in detail.states],
                "relations": [asdict(item) for item in detail.links],
                "trained": [asdict(item) for item in detail.uses],
            }
        )
        return
    console = Console(highlight=False)
    for line in _lines(detail):
        console.print(_safe(line), soft_wrap=True)


def _lines(detail: DatasetDetail) -> Iterator[str]:
    entry = detail.entry
    yield entry.id + (f" ({entry.name})" if entry.name not in (entry.id, entry.id.rsplit("/", 1)[-1]) else "")
    for word, value in (("license", entry.license), ("url", entry.url), ("at", entry.location)):
        if value:
            yield f"  {word}: {value}"
    if entry.declared_splits:
        yield f"  declared splits: {', '.join(entry.declared_splits)}"
    if entry.ghost:
        yield "  only named by models: its data is not in the lake"
    for state in detail.states:
        if state.rows is None:
            continue
        size = decimal(state.bytes or 0)
        files = "" if state.files in (None, 1) else f" in {state.files} files"
        yield f"state {state.number}: {state.version[:12]}  {state.rows:,} rows, {state.format}, {size}{files}"
        if state.splits:
            yield f"  splits: {', '.join(state.splits)}"
        if state.shared_splits:
            yield f"  rows in two splits: {', '.join(state.shared_splits)}"
        yield from _disagreements(entry.declared_splits, state.splits)
        others = [item for item in state.datasets if item != entry.id]
        if others:
            yield f"  the same bytes as {', '.join(others)}"
        for link in detail.links:
            if link.version == state.version:
                yield f"  {_relation(link)}"
    if entry.columns:
        yield "columns"
        yield from (f"  {column}" for column in entry.columns[:_SHOWN])
        if len(entry.columns) > _SHOWN:
            yield f"  and {len(entry.columns) - _SHOWN} more"
    if detail.uses:
        yield "models"
        for use in detail.uses:
            yield f"  {', '.join(use.models) or use.name}: {use.summary or 'trained on it'} ({use.basis})"
    if entry.citation:
        yield "citation"
        yield from (f"  {line}" for line in entry.citation.splitlines())


def _disagreements(declared: Sequence[str], counted: Sequence[str]) -> Iterator[str]:
    """Splits whose stated number of rows is not what was counted."""
    found = dict(item.rsplit(": ", 1) for item in counted)
    for item in declared:
        name, sign, stated = item.rpartition(": ")
        if sign and stated.isdigit() and name in found and found[name] != stated:
            yield f"  the documents state {stated} rows of {name}, {found[name]} were counted"


def _relation(link: DatasetLink) -> str:
    return f"{link.words} {link.name} ({link.other[:12]}), confidence {link.confidence:.0%}: {link.summary}"


def _plain_entry(entry: DatasetEntry) -> dict[str, object]:
    return {**asdict(entry), "ghost": entry.ghost}


def _safe(text: str) -> str:
    return escape("".join(character if character.isprintable() else "\ufffd" for character in text))


def _json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
