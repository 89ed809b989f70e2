"""What would change an inference: which cue carries it, what it would be without, and what is open.

All of it follows from the evidence that stands in the graph. An edge of a family's tree answers two questions, each
with log-odds of its own: who is next to whom (`tail_distance`), and which of the two came first (`direction`). The cues
of the edge itself enter the second as a sum, so that taking one away is a subtraction, and no estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from graph_schema.derivation import Observation
from graph_schema.labels import Relation
from graph_schema.records import Evidence
from lineage.calibration import Calibration, default_calibration
from lineage.hidden_parents import GROWTHS, LARGEST_READING

MOST_CUES = 3
SURE = 0.9
SETTLED = 0.99
OWN = "direction."
"""How the methods of an edge's own cues of direction begin."""


Seen = Observation | Evidence
"""What was observed, of a derivation or as it stands in the graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the sentences call those they speak of."""

    child: str
    parent: str
    runner_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """The two questions behind an edge of a family's tree, as far as the evidence answers them.

    Attributes
    ----------
    near : float or None
        Log-odds that the two are neighbours; None where a rule settled it.
    first : float or None
        Log-odds that the parent came first; None where a rule settled it or nothing is on record.
    own : tuple of (str, float)
        What each cue of this edge adds to `first`, strongest first.
    """

    near: float | None
    first: float | None
    own: tuple[tuple[str, float], ...]

    def confidence(self, calibration: Calibration, *, less: float = 0.0) -> float:
        """The calibrated confidence, had the direction so much less in its favour."""
        near = 1.0 if self.near is None else _probability(self.near)
        forward = 1.0 if self.first is None else _probability(self.first - less)
        return calibration.calibrated(near, forward)


def questions(evidence: Sequence[Seen]) -> Questions:
    """The two questions of an edge, from its evidence."""
    whole = {item.kind: item.log_odds for item in evidence}
    own = [(item.kind, item.log_odds) for item in evidence if item.method.startswith(OWN) and item.log_odds]
    own.sort(key=lambda part: (-abs(part[1]), part[0]))
    return Questions(near=whole.get("tail_distance"), first=whole.get("direction"), own=tuple(own))


def would_change(
    evidence: Sequence[Seen],
    *,
    relation: Relation,
    confidence: float,
    names: Names,
    calibration: Calibration | None = None,
) -> tuple[str, ...]:
    """What would change the verdict on one derivation, most telling first.

    Parameters
    ----------
    evidence : sequence of Seen
        All of the derivation's observations.
    relation : Relation
    confidence : float in [0, 1]
    names : Names
    calibration : Calibration, optional
        What the confidence was made with, by default the numbers that ship with the project. Confidences without one
        cue or another are given where these numbers lead to `confidence`, and left out otherwise.

    Returns
    -------
    tuple of str
        Sentences without a full stop.

    Examples
    --------
    >>> from graph_schema.derivation import Observation
    >>> seen = Observation(kind="merge_formula", statement="", method="merges.linear", value=0.01, log_odds=4.6)
    >>> names = Names(child="c", parent="a and b")
    >>> would_change([seen], relation=Relation.MERGED_FROM, confidence=0.99, names=names)[0]
    'a combination of other versions with a residual below 0.01 would be named instead'
    """
    by_kind = {item.kind: item for item in evidence}
    if "hidden_parent" in by_kind:
        return _hidden(by_kind, names)
    if "adapter_fit" in by_kind:
        return (
            f"{names.child} fits the other members of the family about as well: a version that is one of them with the "
            "adapter merged in would settle which was its base",
        )
    if "output_geometry" in by_kind:
        nearer = "that says more nearly what it says"
        if not {"single_tokens", "own_text"} & by_kind.keys():
            nearer = "whose outputs lie to each other more as its own do"
        return (
            f"a version that shares weights with it, or a larger one {nearer}, would be named instead",
            "only its makers can tell a student from what was trained by itself on the same data",
        )
    if "merged_adapter" in by_kind:
        return ("nothing short of other weights: the product of the adapter was found in them",)
    if "merge_formula" in by_kind:
        return _merge(by_kind["merge_formula"])
    if "laundered_copy" in by_kind:
        return _laundered(confidence, names)
    asked = questions(evidence)
    if asked.near is None and asked.first is None:
        return _rule(relation, confidence, names)
    fitted = calibration or default_calibration()
    numbers = fitted if abs(asked.confidence(fitted) - confidence) < 0.002 else None
    return (*_open(asked, confidence), *_order(asked, numbers, names), *_place(asked, by_kind, names))


def _open(asked: Questions, confidence: float) -> list[str]:
    """Which of the two questions is open, where the edge is not sure."""
    if confidence >= SURE or asked.near is None or asked.first is None:
        return []
    who = f"who is its nearest relative ({_percent(asked.near)})"
    order = f"which of the two came first ({_percent(asked.first)})"
    sure = [_probability(odds) >= SURE for odds in (asked.near, asked.first)]
    if not any(sure):
        return [f"both questions are open: {who}, and {order}"]
    less, more = (who, order) if asked.near < asked.first else (order, who)
    return [f"less sure is {less} than {more}" if all(sure) else f"open is {less}, not {more}"]


def _order(asked: Questions, numbers: Calibration | None, names: Names) -> list[str]:
    if asked.first is None:
        return []
    if not asked.own:
        return [
            "no cue of this edge itself says which of the two came first; the rest of the family's tree does, with "
            f"{_percent(asked.first)}"
        ]
    lines: list[str] = []
    carrying = [(kind, odds) for kind, odds in asked.own if odds > 0]
    for place, (kind, odds) in enumerate(carrying[:MOST_CUES]):
        without = asked.first - odds
        if place == 0 and _probability(without) >= SETTLED:
            lines.append(f"no single cue decides the order: without {kind} it would stand at {_percent(without)}")
            break
        if without < 0 <= asked.first:
            lines.append(
                f"without {kind} {names.child} would pass for the parent ({_percent(-without)}); it has {odds:+.1f} "
                f"and would have to fall below {-without:.1f}"
            )
            continue
        then = "" if numbers is None else f", the confidence at {asked.confidence(numbers, less=odds):.1%}"
        lines.append(f"without {kind} the order would stand at {_percent(without)}{then}")
    rest = asked.first - sum(odds for _, odds in asked.own)
    if _probability(rest) < SETTLED and (len(asked.own) > 1 or not carrying):
        lines.append(
            f"without any cue of this edge, the rest of the family's tree gives {_percent(rest)} for this order"
        )
    return lines


def _place(asked: Questions, by_kind: dict[str, Seen], names: Names) -> list[str]:
    near = by_kind.get("tail_distance")
    if asked.near is None or near is None:
        return []
    distance = f" (tail distance below {near.value:.3g})" if near.value else ""
    lines = [
        f"a version nearer to {names.child} than {names.parent}{distance}, if one is missing from the lake, would take "
        "its place"
    ]
    if names.runner_up is not None:
        lines.append(
            f"were {names.parent} missing from the lake, {names.runner_up} would be the nearest: named itself, or held "
            "to have a hidden parent in common"
        )
    return lines


def _hidden(by_kind: dict[str, Seen], names: Names) -> tuple[str, ...]:
    lines = ["the missing version itself, once it is read, would take the place of this one"]
    read = [
        f"{kind} is {item.value:+.2f}"
        for kind, item in sorted(by_kind.items())
        if kind in GROWTHS and item.value is not None
    ]
    found = f" ({', '.join(read)})" if read else ""
    whom = f"{names.runner_up} and {names.child}" if names.runner_up else "the siblings"
    lines.append(
        f"had growth or row_growth been beyond ±{LARGEST_READING} between {whom}{found}, one would be the other's "
        "parent"
    )
    return tuple(lines)


def _merge(seen: Seen) -> tuple[str, ...]:
    left = "smaller residual" if seen.value is None else f"residual below {seen.value:.2g}"
    return (f"a combination of other versions with a {left} would be named instead",)


def _laundered(confidence: float, names: Names) -> tuple[str, ...]:
    same = "that the two are the same but for laundering is not in question"
    if confidence < SURE:
        return (f"{same}; which of them came first is open: nothing in the weights says it",)
    return (
        f"{same}; a relative of {names.child} that was laundered alike, once it is read, would make the order open",
    )


def _rule(relation: Relation, confidence: float, names: Names) -> tuple[str, ...]:
    if relation in (Relation.QUANTIZED_FROM, Relation.PRUNED_FROM):
        return (
            f"a version so near to {names.parent} that the same copy could be made of it would be as likely a source",
            "which of the two came first is not in question: what was lost cannot come back",
        )
    if confidence < SURE:
        return (
            "that the two belong together is not in question; which came first is open, and only the rest of the "
            f"family's tree speaks for this order ({confidence:.0%})",
        )
    return (f"a version between {names.parent} and {names.child} that is missing from the lake would take its place",)


def _probability(log_odds: float) -> float:
    return 1 / (1 + exp(-min(max(log_odds, -40.0), 40.0)))


def percent(probability: float) -> str:
    """A probability in words, without the pretence of certainty.

    Examples
    --------
    >>> percent(0.5), percent(0.99999), percent(0.0)
    ('50.0%', 'over 99.9%', 'under 0.1%')
    """
    return "over 99.9%" if probability > 0.999 else "under 0.1%" if probability < 0.001 else f"{probability:.1%}"


def _percent(log_odds: float) -> str:
    return percent(_probability(log_odds))
