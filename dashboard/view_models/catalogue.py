"""The list of data sets: what each line says, which are kept, in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.view_models.appearance import CONTRADICTION_COLOUR, bytes_in_words, plural
from dashboard.view_models.browsing import Kept, Order
from dashboard.view_models.document import Block
from dashboard.view_models.licenses import conflict
from dashboard.view_models.plain_text import visible
from graph_schema.dataset_detail import DatasetEntry

WARNING_COLOUR = "#b45309"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLine:
    """One data set in the list.

    Attributes
    ----------
    entry : DatasetEntry
    related : int
        How many other data sets share rows with it.
    shared : bool
        Whether rows of its newest state are in two splits.
    conflicts : int
        How many models trained on it bear a licence that does not repeat a condition of its own.
    """

    entry: DatasetEntry
    related: int = 0
    shared: bool = False
    conflicts: int = 0


def catalogue(
    entries: Iterable[DatasetEntry],
    states: Iterable[Mapping[str, Any]],
    relations: Iterable[Mapping[str, Any]],
    licenses: Iterable[Mapping[str, Any]],
) -> tuple[DataLine, ...]:
    """Join what the store says of its data sets.

    Parameters
    ----------
    entries : iterable of DatasetEntry
    states, relations, licenses : iterables of mappings
        Rows of the queries `dataset_states`, `related_data` and `training_licenses`.
    """
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for row in states:
        owners[row["version"]].add(row["dataset"])
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for row in relations:
        for one, other in ((row["child"], row["parent"]), (row["parent"], row["child"])):
            for dataset in owners[one]:
                beside[dataset] |= owners[other] - {dataset}
    against: defaultdict[str, set[str]] = defaultdict(set)
    for row in licenses:
        if conflict(row["data_license"], [row["model_license"]]):
            against[row["dataset"]].add(row["model"])
    return tuple(
        DataLine(
            entry=entry,
            related=len(beside[entry.id] | (owners[entry.version] - {entry.id})),
            shared=bool(entry.shared_splits),
            conflicts=len(against[entry.id]),
        )
        for entry in entries
    )


def chosen(
    lines: Sequence[DataLine], *, text: str = "", kept: Kept | None = None, order: Order = Order.NAME
) -> tuple[DataLine, ...]:
    """The lines that pass, data that is there first.

    Every word of the text must be in the id, name, licence, address, place, format or a column's name, upper and lower
    case aside.
    """
    words = text.lower().split()
    found = [line for line in lines if _passes(line, kept) and all(word in _searched(line.entry) for word in words)]
    return tuple(sorted(found, key=lambda line: (*_rank(line, order), line.entry.id)))


def how_many(lines: Iterable[DataLine]) -> dict[Kept, int]:
    """How many lines there are of each kind, those without any left out."""
    listed = tuple(lines)
    found = {kept: sum(_passes(line, kept) for line in listed) for kept in Kept}
    return {kept: count for kept, count in found.items() if count}


def _passes(line: DataLine, kept: Kept | None) -> bool:
    match kept:
        case None:
            return True
        case Kept.PRESENT:
            return not line.entry.ghost
        case Kept.NAMED:
            return line.entry.ghost
        case Kept.RELATED:
            return line.related > 0
        case Kept.LICENSE:
            return line.conflicts > 0
        case Kept.SHARED:
            return line.shared


def _searched(entry: DatasetEntry) -> str:
    parts = (entry.id, entry.name, entry.license, entry.url, entry.location, entry.format, *entry.columns)
    return "\n".join(part for part in parts if part).lower()


def _rank(line: DataLine, order: Order) -> tuple[int, ...]:
    entry = line.entry
    absent = int(entry.ghost)
    match order:
        case Order.MODELS:
            return (-entry.models, absent)
        case Order.ROWS:
            return (absent, -(entry.rows or 0))
        case Order.NAME:
            return (absent,)


def line_block(line: DataLine) -> Block:
    """What the list says of one data set: a line of facts, and marks for what a reader should look at."""
    entry = line.entry
    models = plural(entry.models, "model") + " trained on it" if entry.models else ""
    if entry.ghost:
        facts = ["only named; its data is not in the lake", models]
    else:
        facts = [
            plural(entry.rows or 0, "row"),
            plural(len(entry.columns), "column"),
            entry.format or "",
            bytes_in_words(entry.bytes),
            plural(entry.versions, "state") if entry.versions > 1 else "",
            entry.license or "no licence stated",
            models,
            f"shares rows with {plural(line.related, 'data set')}" if line.related else "",
        ]
    marks = []
    if line.conflicts:
        said = f"licence: {plural(line.conflicts, 'model does', 'models do')} not repeat its conditions"
        marks.append(Block(tag="span", look="mark", text=said, colour=CONTRADICTION_COLOUR))
    if line.shared:
        marks.append(Block(tag="span", look="mark", text="rows in two splits", colour=WARNING_COLOUR))
    return Block(
        look="data-line",
        children=(
            Block(tag="span", look="quiet", text=visible(" · ".join(fact for fact in facts if fact))),
            *marks,
        ),
    )
