"""Words and colours: how relations, bases, verdicts and figures look, everywhere alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graph_schema.labels import LINEAGE, Relation
from modellake.drawing import COLOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationStyle:
    """How a relation is written and drawn: a verb for sentences, a short label for legends, a colour."""

    label: str
    verb: str
    colour: str


_WORDS: Mapping[Relation, tuple[str, str]] = {
    Relation.FINE_TUNED_FROM: ("fine-tuned", "fine-tuned from"),
    Relation.ADAPTED_FROM: ("adapter", "an adapter for"),
    Relation.MERGED_FROM: ("merged", "merged from"),
    Relation.DISTILLED_FROM: ("distilled", "distilled from"),
    Relation.QUANTIZED_FROM: ("quantized", "quantized from"),
    Relation.PRUNED_FROM: ("pruned", "pruned from"),
    Relation.EDITED_FROM: ("edited", "edited from"),
    Relation.EXPANDED_FROM: ("expanded", "expanded from"),
    Relation.REPARAMETRIZED_FROM: ("reparametrized", "a reparametrization of"),
}
RELATIONS: Mapping[Relation, RelationStyle] = {
    relation: RelationStyle(label=label, verb=verb, colour=COLOURS[relation])
    for relation, (label, verb) in _WORDS.items()
}
CONTRADICTION_COLOUR = "#c62828"


def style_of(relation: Relation) -> RelationStyle:
    """The style of a relation; those that are no lineage look plain."""
    words = relation.replace("_", " ").lower()
    return RELATIONS.get(relation) or RelationStyle(label=words, verb=words, colour="#6b7280")


def relation_by_label(label: str) -> Relation:
    """The relation that a label of the legend stands for; raises KeyError for any other word."""
    return _BY_LABEL[label]


def count_in_words(count: int | None) -> str:
    """A count of parameters, short.

    Examples
    --------
    >>> count_in_words(1_234_567), count_in_words(999_950), count_in_words(950), count_in_words(None)
    ('1.2M', '1.0M', '950', '')
    """
    if count is None:
        return ""
    for factor, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= factor * 0.99995:
            return f"{count / factor:.1f}{unit}"
    return str(count)


def bytes_in_words(count: int | None) -> str:
    """A size, short.

    Examples
    --------
    >>> bytes_in_words(950), bytes_in_words(11_900), bytes_in_words(3_200_000_000), bytes_in_words(None)
    ('950 bytes', '11.9 kB', '3.2 GB', '')
    """
    if count is None:
        return ""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor * 0.99995:
            return f"{count / factor:,.1f} {unit}"
    return plural(count, "byte")


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "parent"), plural(1200, "child", "children")
    ('1 parent', '1,200 children')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shortened(text: str, length: int) -> str:
    """Text of at most `length` characters, with an ellipsis in its middle: both ends of a model's name tell something.

    Examples
    --------
    >>> shortened("organization/model-7b-instruct", 15)
    'organiz…nstruct'
    """
    if len(text) <= length:
        return text
    kept = length - 1
    head, tail = (kept + 1) // 2, kept // 2
    return f"{text[:head]}…{text[-tail:]}" if tail else f"{text[:head]}…"


_BY_LABEL = {RELATIONS[relation].label: relation for relation in LINEAGE}
