"""Scoring a predicted lineage against the truth of a lake.

The prediction is plain data, so that anything can be scored. What counts:

- An exact duplicate and its original are one: either name stands for both, and edges between them are ignored.
- *Parent accuracy* is over the children with one true parent that is in the lake; right means that the surest predicted
  parent is that one, in that direction. *Edge type accuracy* is over those that are right.
- Merges are scored apart: precision over all predicted `MERGED_FROM` edges, recall over the true constituents. The base
  that task vectors start from is allowed but not asked for.
- Children of a ghost have no right parent in the lake: abstaining, or naming an ancestor, is fine; else it is wrong.
- Families from one initialisation are no strangers: edges between them are counted apart from those between
  independent families.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.lakes.truth import TrueEdge, Truth
from graph_schema.labels import Relation

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedEdge:
    """One predicted edge from child to parent, with the confidence that it is true."""

    child: str
    parent: str
    relation: Relation
    weight: float | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Right ones out of all; `value` is NaN where there is nothing to count."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.right / self.total if self.total else float("nan")

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.right}/{self.total})" if self.total else "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a prediction fits the truth.

    Attributes
    ----------
    parents : Share
        Directed parent accuracy over single-parent edges.
    parents_by_relation : mapping of Relation to Share
        The same by the true relation.
    undirected : Share
        Single-parent edges predicted in either direction.
    edge_types : Share
        Right relation among right parents.
    roots : Share
        Roots that were given no parent.
    merge_precision, merge_recall : Share
    coefficient_error : float
        Mean absolute error of merge weights, where both are stated; NaN where none are.
    strangers : int
        Predicted edges between independent families.
    cousins : int
        Predicted edges between families from one initialisation.
    ghosts : mapping
        What was predicted for children of ghosts: `abstained`, `ancestor` or `other`.
    hidden : Share
        Hidden parents that were predicted and are true: two of the children have one absent parent, or are roots that
        started from one initialisation.
    calibration_error : float
        Expected calibration error over all predicted edges, ten equal bins; NaN without predictions.
    wrong : tuple of (child, true parent, predicted parent or None)
        Single-parent children that were got wrong, for people.
    """

    parents: Share
    parents_by_relation: Mapping[Relation, Share]
    undirected: Share
    edge_types: Share
    roots: Share
    merge_precision: Share
    merge_recall: Share
    coefficient_error: float
    strangers: int
    cousins: int
    ghosts: Mapping[str, int]
    hidden: Share
    calibration_error: float
    wrong: tuple[tuple[str, str, str | None], ...]


def score(predicted: Iterable[PredictedEdge], truth: Truth, *, hidden: Iterable[Sequence[str]] = ()) -> Score:
    """Score a predicted set of edges.

    Raises
    ------
    ValueError
        If an edge names a model that the truth does not know or that is not in the lake.
    """
    canon = truth.first_names
    present = {canon[model.name] for model in truth.models if model.present}
    edges = _canonical(predicted, canon, present)
    true_edges = [(canon[edge.child], canon[edge.parent], edge) for edge in truth.edges]
    pairs = {(child, parent) for child, parent, _ in true_edges}
    parents_of: dict[str, list[TrueEdge]] = defaultdict(list)
    for child, _, edge in true_edges:
        parents_of[child].append(edge)
    by_child: dict[str, list[PredictedEdge]] = defaultdict(list)
    for guess in edges:
        by_child[guess.child].append(guess)
    ancestors = _ancestors(pairs)

    either = {frozenset((edge.child, edge.parent)) for edge in edges}
    right, total = Counter[Relation](), Counter[Relation]()
    undirected = typed = roots = roots_free = 0
    ghosts = Counter[str](abstained=0, ancestor=0, other=0)
    wrong: list[tuple[str, str, str | None]] = []
    for child in sorted(present):
        true = parents_of.get(child, [])
        best = max(by_child.get(child, []), key=lambda edge: edge.confidence, default=None)
        if not true:
            roots += 1
            roots_free += best is None
        elif len(true) > 1:
            continue
        elif (parent := canon[true[0].parent]) not in present:
            ghosts[_ghost_outcome(best, ancestors[child])] += 1
        else:
            relation = true[0].relation
            total[relation] += 1
            undirected += frozenset((child, parent)) in either
            if best is not None and best.parent == parent:
                right[relation] += 1
                typed += best.relation is relation
            else:
                wrong.append((child, parent, None if best is None else best.parent))
    merged = merges(truth, edges)
    errors = [error for item in merged for error in item.errors]
    strangers, cousins = _between_families(edges, truth, canon)
    return Score(
        parents=Share(right=right.total(), total=total.total()),
        parents_by_relation={key: Share(right=right[key], total=total[key]) for key in sorted(total)},
        undirected=Share(right=undirected, total=total.total()),
        edge_types=Share(right=typed, total=right.total()),
        roots=Share(right=roots_free, total=roots),
        merge_precision=Share(right=sum(item.true for item in merged), total=sum(item.named for item in merged)),
        merge_recall=Share(right=sum(item.found for item in merged), total=sum(item.asked for item in merged)),
        coefficient_error=sum(errors) / len(errors) if errors else float("nan"),
        strangers=strangers,
        cousins=cousins,
        ghosts=dict(ghosts),
        hidden=_hidden([[canon[name] for name in group] for group in hidden], parents_of, truth, canon, present),
        calibration_error=expected_calibration_error(
            [(edge.confidence, (edge.child, edge.parent) in pairs) for edge in edges]
        ),
        wrong=tuple(wrong),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What was found of one merge.

    Attributes
    ----------
    child : str
    method : str
    asked, found : int
        Constituents that are in the lake, and how many of them were named.
    named, true : int
        Parents that were named by merge edges, and how many of them are true; the base of task vectors is.
    errors : tuple of float
        Of the coefficients that both state.
    """

    child: str
    method: str
    asked: int
    found: int
    named: int
    true: int
    errors: tuple[float, ...]


NO_MERGE = "none: what was no merge"


def merges(truth: Truth, edges: Sequence[PredictedEdge]) -> list[Merged]:
    """Every merge of a lake, and every version that was taken for one."""
    canon = truth.first_names
    present = {canon[model.name] for model in truth.models if model.present}
    true: dict[str, dict[str, TrueEdge]] = defaultdict(dict)
    said: dict[str, dict[str, PredictedEdge]] = defaultdict(dict)
    for edge in truth.edges:
        if edge.relation is Relation.MERGED_FROM:
            true[canon[edge.child]][canon[edge.parent]] = edge
    for guess in edges:
        if guess.relation is Relation.MERGED_FROM:
            said[canon[guess.child]][canon[guess.parent]] = guess
    found = []
    for child in sorted(present & (true.keys() | said.keys())):
        parts, named = true[child], said[child]
        asked = {name for name, edge in parts.items() if edge.details.get("role") != "base" and name in present}
        both = [(parts[name].weight, named[name].weight) for name in sorted(parts.keys() & named.keys())]
        found.append(
            Merged(
                child=child,
                method=str(next(iter(parts.values())).details.get("method", "not told")) if parts else NO_MERGE,
                asked=len(asked),
                found=len(asked & named.keys()),
                named=len(named),
                true=len(parts.keys() & named.keys()),
                errors=tuple(abs(one - two) for one, two in both if one is not None and two is not None),
            )
        )
    return found


def expected_calibration_error(outcomes: Sequence[tuple[float, bool]], *, bins: int = BINS) -> float:
    """Mean gap between confidence and frequency over equal bins, weighted by their counts (Naeini et al. 2015).

    Examples
    --------
    >>> expected_calibration_error([(0.75, True), (0.75, True), (0.75, True), (0.75, False)])
    0.0
    """
    if not outcomes:
        return float("nan")
    groups: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, true in outcomes:
        groups[min(bins - 1, int(confidence * bins))].append((confidence, true))
    gaps = (
        abs(sum(confidence for confidence, _ in group) - sum(true for _, true in group)) for group in groups.values()
    )
    return sum(gaps) / len(outcomes)


def _canonical(
    predicted: Iterable[PredictedEdge], canon: Mapping[str, str], present: set[str]
) -> tuple[PredictedEdge, ...]:
    """Edges between canonical names, the surest of each pair; edges between duplicates fall out."""
    surest: dict[tuple[str, str], PredictedEdge] = {}
    for edge in predicted:
        for name in (edge.child, edge.parent):
            if canon.get(name) not in present:
                raise ValueError(f"a predicted edge names {name!r}, which is not in the lake")
        child, parent = canon[edge.child], canon[edge.parent]
        known = surest.get((child, parent))
        if child != parent and (known is None or edge.confidence > known.confidence):
            surest[child, parent] = PredictedEdge(
                child=child,
                parent=parent,
                relation=Relation(edge.relation),
                weight=edge.weight,
                confidence=edge.confidence,
            )
    return tuple(surest.values())


def _ancestors(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    parents: dict[str, set[str]] = defaultdict(set)
    for child, parent in pairs:
        parents[child].add(parent)
    found: dict[str, set[str]] = defaultdict(set)
    for child in list(parents):
        stack = [child]
        while stack:
            for parent in parents.get(stack.pop(), ()):
                if parent not in found[child]:
                    found[child].add(parent)
                    stack.append(parent)
    return found


def _hidden(
    groups: Sequence[Sequence[str]],
    parents_of: Mapping[str, Sequence[TrueEdge]],
    truth: Truth,
    canon: Mapping[str, str],
    present: set[str],
) -> Share:
    started = {canon[family.root]: family.initialisation for family in truth.families}
    right = 0
    for group in groups:
        origins = Counter[object]()
        for child in set(group):
            absent = {canon[edge.parent] for edge in parents_of.get(child, ())} - present
            origins.update([*absent, *([started[child]] if child in started else [])])
        right += max(origins.values(), default=0) > 1
    return Share(right=right, total=len(groups))


def _ghost_outcome(best: PredictedEdge | None, ancestors: set[str]) -> str:
    if best is None:
        return "abstained"
    return "ancestor" if best.parent in ancestors else "other"


def _between_families(edges: Iterable[PredictedEdge], truth: Truth, canon: Mapping[str, str]) -> tuple[int, int]:
    family = {canon[name]: number for number, entry in enumerate(truth.families) for name in entry.members}
    strangers = cousins = 0
    for edge in edges:
        a, b = truth.families[family[edge.child]], truth.families[family[edge.parent]]
        if a is not b:
            cousins += a.initialisation == b.initialisation
            strangers += a.initialisation != b.initialisation
    return strangers, cousins
