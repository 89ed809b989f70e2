"""Why a parent, or why none: what the weights of one version say, as records and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from graph_schema.identity import IMPLIED_PREFIX
from graph_schema.labels import Relation

MISSING = "a version that is not in the lake"


class Outcome(StrEnum):
    """What an inference can come to for one version."""

    PARENT = "parent"
    HIDDEN_PARENT = "hidden parent"
    ROOT = "root"
    ALONE = "alone"
    OPEN = "open"
    NOT_COMPARED = "not compared"
    NOT_IN_THE_LAKE = "not in the lake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A version and what people call it.

    Attributes
    ----------
    id, name : str
    weight : float or None
        Its coefficient, where it went into a merge.
    """

    id: str
    name: str
    weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One observation: what was seen, the figure, and what it is worth in natural log-odds (0 where reported only)."""

    kind: str
    statement: str
    value: float | None
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parentage:
    """An inferred parent, or several of a merge, and what speaks for it.

    Attributes
    ----------
    relation : Relation
    parents : tuple of Named
        Heaviest first.
    confidence : float in [0, 1]
    summary : str
    cues : tuple of Cue
        Strongest first.
    runner_up : Named or None
    times_as_far : float or None
        How far the runner-up lies, in distances to the parent.
    siblings : tuple of Named
        Where the parent is hidden: the other versions made from it.
    would_change : tuple of str
        What would change the verdict, see `modellake.counterfactuals`.
    """

    relation: Relation
    parents: tuple[Named, ...]
    confidence: float
    summary: str
    cues: tuple[Cue, ...]
    runner_up: Named | None
    times_as_far: float | None
    siblings: tuple[Named, ...]
    would_change: tuple[str, ...]

    @property
    def words(self) -> str:
        """The relation and the parents, with their weights in a merge."""
        parents = [
            (MISSING if parent.id.startswith(IMPLIED_PREFIX) else parent.name)
            + ("" if parent.weight is None else f" × {parent.weight:.3g}")
            for parent in self.parents
        ]
        return f"{self.relation.lower().replace('_', ' ')} {' and '.join(parents)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A declared parent: in words, and where it stands."""

    statement: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the weights of one version say about where it comes from.

    Attributes
    ----------
    version : Named
    outcome : Outcome
    statement : str
        One sentence.
    parentages : tuple of Parentage
        What was inferred; where the outcome is open, the likeliest that was not sure enough.
    would_change : tuple of str
        What would change it where no parent is named.
    claims : tuple of Claim
        What documents say, for comparison; none of it entered the inference.
    """

    version: Named
    outcome: Outcome
    statement: str
    parentages: tuple[Parentage, ...] = ()
    would_change: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        yield f"{self.version.name}: {self.statement}"
        for item in self.parentages:
            if self.outcome is Outcome.OPEN:
                yield f"  likeliest: {item.words}, {item.confidence:.1%}"
            if item.summary:
                yield f"  {item.summary}"
            for cue in item.cues:
                yield f"  {f'{cue.log_odds:+6.1f}' if cue.log_odds else '     .'}  {cue.kind}: {cue.statement}"
            if item.runner_up is not None:
                far = "" if item.times_as_far is None else f", {item.times_as_far:.3g} times as far"
                yield f"  runner-up: {item.runner_up.name}{far}"
            yield from _listed(item.would_change)
        yield from _listed(self.would_change)
        for claim in self.claims:
            yield f"declared: {claim.statement}"
            yield from (f"  {source}" for source in claim.sources)


def _listed(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield "  what would change this:"
        yield from (f"  - {line}" for line in lines)
