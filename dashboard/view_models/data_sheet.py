"""The page of one data set: what it is, its states and columns, how it relates to others, who is trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.view_models.appearance import CONTRADICTION_COLOUR, bytes_in_words, plural
from dashboard.view_models.catalogue import WARNING_COLOUR
from dashboard.view_models.document import Block
from dashboard.view_models.licenses import conflict
from dashboard.view_models.observations import observation_block
from dashboard.view_models.plain_text import visible
from graph_schema.dataset_detail import DatasetDetail, DatasetLink, DatasetState, DatasetUse
from graph_schema.labels import Basis, Relation
from graph_schema.lineage_graph import EditDetail

_COLUMNS_SHOWN = 200
_COLOURS = {
    Relation.SAME_ROWS_AS: "#2f7d5b",
    Relation.SUBSET_OF: "#2b6cb0",
    Relation.OVERLAPS_WITH: "#975a16",
    Relation.REVISED_FROM: "#6b46c1",
}
_MEANING = {
    Relation.SAME_ROWS_AS: "the same rows equally often, in other bytes",
    Relation.SUBSET_OF: "no row of the smaller was seen that is not in the larger",
    Relation.OVERLAPS_WITH: "some rows, or whole columns of values, are in both",
    Relation.REVISED_FROM: "the next state of the same data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A version of a model with everything that says that it is trained on a data set.

    Attributes
    ----------
    version, name : str
    uses : tuple of DatasetUse
        One for each state, basis and document; surest first.
    conflict : str, optional
        What the data's licence asks for and the model's does not.
    """

    version: str
    name: str
    uses: tuple[DatasetUse, ...]
    conflict: str | None


def facts_block(detail: DatasetDetail) -> Block:
    """What is known of a data set as a whole."""
    entry = detail.entry
    stated = "none stated" if not entry.ghost else ""
    facts = [
        ("called", "" if entry.id.endswith(entry.name) else entry.name),
        ("licence", entry.license or stated),
        ("address", entry.url or ""),
        ("read from", entry.location or ""),
        ("stated splits", ", ".join(entry.declared_splits)),
        ("citation", entry.citation or ""),
    ]
    parts = []
    if entry.ghost:
        parts.append(Block(tag="p", look="summary", text="Models name it; its data is not in this lake."))
        parts.append(
            Block(
                tag="p",
                look="quiet",
                text="Read it with modellake ingest and the claims lead to the data itself: its rows, its licence, and "
                "what it shares with others.",
            )
        )
    return Block(look="panel", children=(*parts, _table(facts)))


def state_block(state: DatasetState, older: DatasetState | None, detail: DatasetDetail) -> Block:
    """One state: counts, splits, what changed against the state before it, and which data sets have the same bytes."""
    entry = detail.entry
    number = f"State {state.number}" if state.number is not None else "State"
    counted = [
        plural(state.rows or 0, "row"),
        plural(len(state.columns), "column"),
        state.format or "",
        bytes_in_words(state.bytes),
        plural(state.files, "file") if state.files and state.files > 1 else "",
    ]
    facts = [
        ("rows a split", ", ".join(state.splits)),
        ("stated otherwise", "; ".join(_disagreements(entry.declared_splits, state.splits))),
        ("columns since", "; ".join(_changed(older, state)) if older is not None else ""),
        ("same bytes as", ", ".join(item for item in state.datasets if item != entry.id)),
        ("path in the lake", state.path if len({item.path for item in detail.states}) > 1 else ""),
        ("content id", state.version),
    ]
    parts = [
        Block(
            tag="p",
            look="summary",
            children=(
                Block(tag="span", look="cue", text=f"{number} · "),
                Block(tag="span", text=visible(" · ".join(item for item in counted if item))),
            ),
        )
    ]
    if state.shared_splits:
        parts.append(
            _note(
                "Rows in two splits",
                f"{', '.join(state.shared_splits)}. Rows of a test that are in training too make a model "
                "look better than it is.",
                WARNING_COLOUR,
            )
        )
    return Block(look="panel", children=(*parts, _table([(name, text or "") for name, text in facts])))


def _changed(older: DatasetState, newer: DatasetState) -> list[str]:
    added = [item for item in newer.columns if item not in older.columns]
    removed = [item for item in older.columns if item not in newer.columns]
    said = [f"{', '.join(added)} added"] if added else []
    return said + ([f"{', '.join(removed)} removed"] if removed else [])


def _disagreements(declared: Sequence[str], counted: Sequence[str]) -> list[str]:
    """Splits whose stated number of rows is not what was counted."""
    found = dict(item.rsplit(": ", 1) for item in counted if ": " in item)
    told = [item.rsplit(": ", 1) for item in declared if ": " in item]
    return [
        f"the documents state {rows} rows of {name}, {found[name]} were counted"
        for name, rows in told
        if rows.isdigit() and name in found and found[name] != rows
    ]


def columns_block(columns: Sequence[str]) -> Block:
    """The schema: a row a column."""
    named = [item.rpartition(": ") for item in columns[:_COLUMNS_SHOWN]]
    rows = [(name or kind, kind if name else "") for name, _, kind in named]
    more = len(columns) - len(rows)
    listed: tuple[Block, ...] = (_table(rows, keep_empty=True),)
    if more > 0:
        listed += (Block(tag="p", look="quiet", text=f"and {plural(more, 'column')} more"),)
    return Block(look="panel", children=listed)


def related(detail: DatasetDetail) -> tuple[DatasetLink, ...]:
    """How a data set relates to others, closest first, and how its own states follow one another.

    What leads from one state of it to another is there once, though both states have it.
    """
    own = {state.version for state in detail.states}
    links = [link for link in detail.links if link.forward or link.other not in own]
    closest = tuple(_COLOURS)
    return tuple(
        sorted(links, key=lambda link: (closest.index(link.relation), -(link.share or 0), link.name, link.version))
    )


def relation_block(link: DatasetLink, states: Sequence[DatasetState]) -> Block:
    """How one state relates to another: the share of rows with its interval, and how sure that is."""
    colour = _COLOURS[link.relation]
    numbers = {state.version: state.number for state in states}
    mine = f"state {numbers[link.version]}" if numbers.get(link.version) is not None and len(states) > 1 else "this one"
    parts = [
        Block(
            look="kicker",
            children=(
                Block(tag="span", look="chip", text=link.words, colour=colour, tooltip=_MEANING.get(link.relation, "")),
                Block(tag="span", look=f"basis {link.basis}", text=str(link.basis)),
                Block(tag="span", look="quiet", text=f"confidence {link.confidence:.0%}"),
            ),
        )
    ]
    if link.share is not None:
        low, high = link.share_low, link.share_high
        interval = low is not None and high is not None and high - low > 1e-9
        bars = [Block(look="bar", share=link.share, colour=colour)]
        if interval and low is not None and high is not None:
            # The interval is drawn over the bar, paler.
            bars.append(Block(look="bar interval", start=low, share=high - low, colour=colour))
        parts.append(Block(look="track thick", tooltip=f"{link.share:.1%}", children=tuple(bars)))
        parts.append(Block(tag="p", text=share_in_words(link, mine)))
    parts.append(Block(tag="p", look="quiet", text=visible(link.summary)))
    return Block(look="panel relation", children=tuple(parts))


def share_in_words(link: DatasetLink, mine: str = "this one") -> str:
    """What the share of a relation says, with its interval, or that it was counted.

    The share is of the rows of the relation's start that are in its end.
    """
    if link.share is None:
        return ""
    start, end = (mine, "the other") if link.forward else ("the other", mine)
    said = f"{_percent(link.share)} of the rows of {start} are in {end}"
    if link.share == 0:
        said = f"No row of {start} is in {end} with the same values in all columns"
    low, high = link.share_low, link.share_high
    if low is None or high is None:
        return said + "."
    if high - low <= 1e-9:
        return said + ", counted exactly."
    return said + f"; between {_percent(low)} and {_percent(high)} with 95% certainty."


def _percent(share: float) -> str:
    """A share that is not quite all or nothing is not rounded to it."""
    if 0 < share < 0.001:
        return "under 0.1%"
    if 0.999 < share < 1:
        return "over 99.9%"
    return f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}"


def evidence_block(detail: EditDetail) -> Block:
    """What was seen that makes a relation."""
    if not detail.evidence:
        return Block(tag="p", look="quiet", text="No observation is recorded for it.")
    return Block(look="panel", children=tuple(observation_block(item, {}) for item in detail.evidence))


def users(detail: DatasetDetail) -> tuple[Use, ...]:
    """The versions of models that are said or found to be trained on a data set, those with a conflict first."""
    grouped: dict[str, list[DatasetUse]] = {}
    for use in detail.uses:
        grouped.setdefault(use.version, []).append(use)
    found = [
        Use(
            version=version,
            name=uses[0].name,
            uses=tuple(sorted(uses, key=lambda use: (use.basis is Basis.DECLARED, -use.confidence, use.edit))),
            conflict=conflict(detail.entry.license, (license for use in uses for license in use.licenses)),
        )
        for version, uses in grouped.items()
    ]
    return tuple(sorted(found, key=lambda use: (use.conflict is None, use.name, use.version)))


def use_block(use: Use) -> Block:
    """What says that a model is trained on the data, and under which licence the model is published."""
    bases = tuple(dict.fromkeys(item.basis for item in use.uses))
    licenses = sorted({license for item in use.uses for license in item.licenses})
    said = dict.fromkeys(item.summary for item in use.uses if item.summary)
    inferred = [item.confidence for item in use.uses if item.basis is Basis.INFERRED]
    words = "; ".join(said) or "trained on it"
    if inferred:
        words += f" · confidence {max(inferred):.0%}"
    parts = [
        Block(
            look="kicker",
            children=(
                *(Block(tag="span", look=f"basis {basis}", text=str(basis)) for basis in bases),
                Block(tag="span", look="quiet", text=visible(", ".join(licenses) or "no licence stated")),
            ),
        ),
        Block(tag="p", look="quiet", text=visible(words)),
    ]
    if use.conflict:
        parts.append(conflict_block(use.conflict))
    return Block(look="panel", children=tuple(parts))


def conflict_block(said: str) -> Block:
    """What the data's licence asks for and the model's does not."""
    return _note("Licences differ", said, CONTRADICTION_COLOUR)


def trained_on_block(count: int) -> Block:
    """The title above the data sets of one model."""
    return Block(look="panel", children=(Block(tag="h3", text=f"Trained on {plural(count, 'data set')}"),))


def _note(title: str, text: str, colour: str) -> Block:
    return Block(
        look="verdict",
        colour=colour,
        children=(Block(tag="span", look="verdict-title", text=title), Block(tag="p", text=visible(text))),
    )


def _table(facts: Iterable[tuple[str, str]], *, keep_empty: bool = False) -> Block:
    rows = tuple(
        Block(tag="tr", children=(Block(tag="th", text=visible(name)), Block(tag="td", text=visible(text))))
        for name, text in facts
        if text or keep_empty
    )
    return Block(tag="table", children=rows)
