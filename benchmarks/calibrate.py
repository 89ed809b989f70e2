"""Fit the numbers of `lineage/calibration.json` on lakes of known truth: `benchmarks.calibrate LAKES -o FILE`.

What is fitted: how sharply distance tells neighbours (by likelihood, on a grid), what each cue of direction is worth
(logistic regression, with a prior of unit variance), the final scaling of probabilities (Platt 1999), and what tells
the bases of adapters (conditional logit; lakes of adapters: `benchmarks.lakes.one_kind`). The names of
the lakes go into the file; `benchmarks.held_back` scores architectures with numbers fitted on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from benchmarks.lakes.truth import Truth, truth_path
from benchmarks.lineage_accuracy import lake_fingerprints
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.adapter_bases import base_candidates
from lineage.calibration import LEAST_FORWARD, LEAST_NEIGHBOURS, Calibration, default_calibration, log_odds
from lineage.common_names import common_names
from lineage.cues import node_angles
from lineage.family import family_tree
from lineage.family_conclusions import family_in_frame
from lineage.family_evidence import FamilyEvidence
from lineage.forking import each
from lineage.inference import infer
from lineage.relatedness import families, kinship

ADAPTERS = ("adapter_root", "adapter_taken_back", "adapter_paths")
CUES = ("growth", "row_growth", "decay", "clock", "grid", "angle")
SHARPNESS = (2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is read from one family of a lake, with its true edges as positions (child, parent)."""

    evidence: FamilyEvidence
    true: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was believed of an edge, and what is true: that the two are neighbours, and which came first."""

    neighbours: float
    forward: float
    joined: bool
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBase:
    """An adapter: what speaks for each member of its family, one row a member, and which was its base."""

    features: NDArray[np.float64]
    base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """One lake, ready to fit on or to score."""

    path: Path
    truth: Truth
    named: dict[str, Fingerprint]
    families: tuple[Family, ...]
    adapters: tuple[KnownBase, ...]


def read_lake(path: Path) -> Lake:
    """Fingerprints, truth and families of a lake."""
    truth, named = Truth.read(truth_path(path)), lake_fingerprints(path)
    versions = sorted({item.version: item for item in named.values() if item.kind == "full"}.items())
    members = [item for _, item in versions]
    edges = {
        (named[edge.child].version, named[edge.parent].version)
        for edge in truth.edges
        if edge.child in named and edge.parent in named
    }
    found = []
    for group in families(kinship(members).related()):
        if len(group) < 2:
            continue
        named_alike = common_names([members[position] for position in group])
        _, evidence = family_in_frame(named_alike.members)
        if evidence is None:
            continue
        place = {item.version: place for place, item in enumerate(evidence.members)}
        true = {(place[child], place[parent]) for child, parent in edges if child in place and parent in place}
        found.append(Family(evidence=evidence, true=frozenset(true)))
    return Lake(path=path, truth=truth, named=named, families=tuple(found), adapters=known_bases(truth, named))


def read_lakes(paths: Sequence[Path]) -> list[Lake]:
    """Several lakes, on all processors."""
    return list(each(lambda number: read_lake(paths[number]), [1.0] * len(paths)))


def known_bases(truth: Truth, named: Mapping[str, Fingerprint]) -> tuple[KnownBase, ...]:
    """The adapters of a lake whose base is among the members they can be held against.

    The family's tree is the inferred one, as it is when adapters are placed.
    """
    true = {edge.child: edge.parent for edge in truth.edges if edge.relation is Relation.ADAPTED_FROM}
    wanted = {child: base for child, base in true.items() if child in named and base in named}
    if not wanted:
        return ()
    by_id = {item.version: item for item in named.values() if item.kind != "adapter"}
    inferred = infer(list(by_id.values()), least_confidence=0.0)
    edges = [(item.parents[0].id, item.child, item.relation) for item in inferred.derivations]
    group_of = {version: group for group in inferred.families for version in group}
    found = []
    for child, base in sorted(wanted.items()):
        group = [by_id[version] for version in group_of[named[base].version]]
        candidates = base_candidates(named[child], group, edges)
        if named[base].version in candidates.versions:
            place = candidates.versions.index(named[base].version)
            found.append(KnownBase(features=candidates.features, base=place))
    return tuple(found)


def fit(lakes: Sequence[Lake], start: Calibration) -> Calibration:
    """All numbers: cues, sharpness, scaling; and what tells the bases of adapters, by itself."""
    everything = [family for lake in lakes for family in lake.families]
    weights = _fit_cues(np.vstack([_features(family, start) for family in everything]))
    found = replace(start, **dict(zip(CUES, weights, strict=True)))
    trials = [replace(found, link_sharpness=sharpness) for sharpness in SHARPNESS]
    outcomes = [_outcomes(everything, trial) for trial in trials]
    losses = [_log_loss([(edge.neighbours, edge.joined) for edge in edges]) for edges in outcomes]
    best = losses.index(min(losses))
    edges = [(edge.neighbours, edge.forward, edge.right) for edge in outcomes[best]]
    return _with_adapters(_scaled(edges, trials[best]), [known for lake in lakes for known in lake.adapters])


def _outcomes(families: Sequence[Family], calibration: Calibration) -> list[Outcome]:
    """All edges of the families' trees that no rule makes."""
    found = []
    for family in families:
        for edge in family_tree(family.evidence, calibration).edges:
            if edge.certain is None:
                ends = edge.child, edge.parent
                right = ends in family.true
                joined = right or ends[::-1] in family.true
                found.append(Outcome(neighbours=edge.neighbours, forward=edge.forward, joined=joined, right=right))
    return found


def _with_adapters(start: Calibration, known: Sequence[KnownBase]) -> Calibration:
    """Conditional logit (McFadden 1974) over the members of each family, with a prior of unit variance."""
    if not known:
        return start
    spread = np.sqrt(np.mean(np.vstack([item.features - item.features.mean(axis=0) for item in known]) ** 2, axis=0))
    spread = np.where(spread > 0, spread, 1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        scores = [item.features / spread @ weights for item in known]
        missed = [float(logsumexp(score) - score[item.base]) for score, item in zip(scores, known, strict=True)]
        return float(np.sum(missed)) + 0.5 * float(weights @ weights)

    numbers = minimize(loss, np.zeros(len(spread))).x / spread
    return replace(start, **dict(zip(ADAPTERS, (round(float(item), 3) for item in numbers), strict=True)))


def _features(family: Family, start: Calibration) -> NDArray[np.float64]:
    """One row a true edge that no rule makes: the cues, positive where they point the right way."""
    unit = replace(start, angle=1.0)
    tree = family_tree(family.evidence, start)
    pairs = [(edge.parent, edge.child) for edge in tree.edges if edge.certain is None]
    angles = node_angles(pairs, family.evidence.vectors.values, unit)
    rows = []
    for edge in tree.edges:
        ends = (edge.parent, edge.child)
        if edge.cues is None or edge.certain is not None or not {ends, ends[::-1]} & family.true:
            continue
        child, parent = ends if ends in family.true else ends[::-1]
        cues = edge.cues.reversed() if ends in family.true else edge.cues
        angle = angles.get((child, parent), 0.0) - angles.get((parent, child), 0.0)
        rows.append([*(cues.features[name] for name in CUES[:-1]), angle])
    return np.array(rows).reshape(-1, len(CUES))


def _fit_cues(features: NDArray[np.float64]) -> list[float]:
    def loss(weights: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, -features @ weights).sum() + 0.5 * np.sum((weights / 3) ** 2))

    found = minimize(loss, np.ones(len(CUES)), bounds=[(0, 8)] * len(CUES))
    return [round(float(weight), 3) for weight in found.x]


def _scaled(edges: Sequence[tuple[float, float, bool]], start: Calibration) -> Calibration:
    """Platt scaling of both questions at once, by the likelihood of whole edges."""
    near = np.array([log_odds(neighbours, least=LEAST_NEIGHBOURS) for neighbours, _, _ in edges])
    first = np.array([log_odds(forward, least=LEAST_FORWARD) for _, forward, _ in edges])
    hit = np.array([right for _, _, right in edges])

    def loss(numbers: NDArray[np.float64]) -> float:
        found = -np.logaddexp(0, -numbers[0] * near - numbers[1]) - np.logaddexp(0, -numbers[2] * first)
        missed = np.log(np.maximum(-np.expm1(found), 1e-12))
        return float(-np.sum(np.where(hit, found, missed)) + 0.5 * (numbers[2] - 1) ** 2)

    found = minimize(loss, np.array([0.5, 1.0, 1.0]), bounds=[(0.02, 3), (-4, 4), (0.05, 3)]).x
    slope, intercept, direction = (round(float(number), 3) for number in found)
    return replace(start, neighbour_slope=slope, neighbour_intercept=intercept, direction_slope=direction)


def _log_loss(outcomes: Sequence[tuple[float, bool]]) -> float:
    bounded = np.clip([probability for probability, _ in outcomes], 1e-6, 1 - 1e-6)
    hit = np.array([right for _, right in outcomes])
    return float(-np.mean(np.log(np.where(hit, bounded, 1 - bounded))))


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lakes", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write the fitted numbers")
    chosen = parser.parse_args(arguments)
    lakes = read_lakes(chosen.lakes)
    names = sorted(lake.path.resolve().name for lake in lakes)
    content = {"version": 1, "fitted_on": names, **asdict(fit(lakes, default_calibration()))}
    chosen.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
