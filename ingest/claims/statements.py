"""What the documents of a model yield besides claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graph_schema.errors import ModelLakeError
from graph_schema.records import Claim, Model

UNKNOWN = "unknown"
"""Target of a claim that says outright that the base is not known; its kind ends in `_unknown`."""

EXCERPT_LIMIT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Something a document says that is no relation of the graph, such as its successor's name."""

    kind: str
    value: str
    file: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """Everything that a model's documents say.

    Attributes
    ----------
    model : Model
    claims : tuple of Claim
        Without repetition, sorted by certainty (the certain first), file, field and target.
    statements : tuple of Statement
        `new_version`, `bibtex`, `merge_method` and the like.
    problems : tuple of ModelLakeError
        Documents, or parts of them, that could not be read; the rest was.
    """

    model: Model
    claims: tuple[Claim, ...] = ()
    statements: tuple[Statement, ...] = ()
    problems: tuple[ModelLakeError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one document says."""

    claims: tuple[Claim, ...] = ()
    statements: tuple[Statement, ...] = ()
    problems: tuple[ModelLakeError, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)


def excerpt(text: object) -> str:
    """A text as an excerpt: on one line, without control characters, at most 300 characters.

    Examples
    --------
    >>> excerpt("a\\n  b\\x00")
    'a b'
    """
    line = "".join(character if character.isprintable() else " " for character in str(text)[: 4 * EXCERPT_LIMIT])
    line = " ".join(line.split())
    return line if len(line) <= EXCERPT_LIMIT else line[: EXCERPT_LIMIT - 1] + "…"
