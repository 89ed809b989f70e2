"""Fit the numbers of `lineage/calibration.json` on lakes of known truth: `benchmarks.calibrate LAKES -o FILE`.

What is fitted: how sharply distance tells neighbours (by likelihood, on a grid), what each cue of direction is worth
(logistic regression, with a prior of unit variance), and the final scaling of probabilities (Platt 1999). The names of
the lakes go into the file; `benchmarks.held_back` scores architectures with numbers fitted on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.lakes.truth import Truth, truth_path
from benchmarks.lineage_accuracy import lake_fingerprints
from graph_schema.fingerprint import Fingerprint
from lineage.calibration import LEAST_FORWARD, LEAST_NEIGHBOURS, Calibration, default_calibration, log_odds
from lineage.cues import edge_cues, node_angles
from lineage.family import FamilyTree, family_tree
from lineage.family_vectors import FamilyVectors
from lineage.relatedness import families, kinship
from lineage.symmetry.copies import DistinctMembers
from lineage.symmetry.frame import common_frame

CUES = ("growth", "row_growth", "clock", "grid", "angle")
SHARPNESS = (2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family of a lake, with its true edges as positions (child, parent)."""

    fingerprints: tuple[Fingerprint, ...]
    true: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """One lake, ready to fit on or to score."""

    path: Path
    truth: Truth
    named: dict[str, Fingerprint]
    families: tuple[Family, ...]


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
        family = [members[position] for position in group]
        frame = common_frame(family, kinship(family).correlation.astype(np.float64))
        distinct = DistinctMembers.of(frame).members
        place = {item.version: place for place, item in enumerate(distinct)}
        true = {(place[child], place[parent]) for child, parent in edges if child in place and parent in place}
        if len(distinct) > 1:
            found.append(Family(fingerprints=distinct, true=frozenset(true)))
    return Lake(path=path, truth=truth, named=named, families=tuple(found))


def fit(lakes: Sequence[Lake], start: Calibration) -> Calibration:
    """All numbers, in three steps: sharpness, cues, scaling."""
    everything = [family for lake in lakes for family in lake.families]
    weights = _fit_cues(np.vstack([_features(family, start) for family in everything]))
    found = replace(start, **dict(zip(CUES, weights, strict=True)))
    losses = []
    for sharpness in SHARPNESS:
        trial = replace(found, link_sharpness=sharpness)
        outcomes = [
            (edge.neighbours, (edge.child, edge.parent) in family.true or (edge.parent, edge.child) in family.true)
            for family in everything
            for edge in family_tree(family.fingerprints, trial).edges
            if edge.certain is None
        ]
        losses.append((_log_loss(outcomes), sharpness))
    found = replace(found, link_sharpness=min(losses)[1])
    edges = [
        (edge.neighbours, edge.forward, (edge.child, edge.parent) in family.true)
        for family in everything
        for edge in family_tree(family.fingerprints, found).edges
        if edge.certain is None
    ]
    return _scaled(edges, found)


def _features(family: Family, start: Calibration) -> NDArray[np.float64]:
    """One row a true edge that no rule makes: the cues, positive where they point the right way."""
    unit = replace(start, angle=1.0)
    tree: FamilyTree = family_tree(family.fingerprints, start)
    pairs = [(edge.parent, edge.child) for edge in tree.edges if edge.certain is None]
    angles = node_angles(pairs, FamilyVectors.of(family.fingerprints).values, unit)
    rows = []
    for edge in tree.edges:
        ends = (edge.parent, edge.child)
        if edge.certain is not None or not {ends, ends[::-1]} & family.true:
            continue
        child, parent = ends if ends in family.true else ends[::-1]
        cues = edge_cues(family.fingerprints[parent], family.fingerprints[child], unit)
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
    lakes = [read_lake(path) for path in chosen.lakes]
    names = sorted(lake.path.resolve().name for lake in lakes)
    content = {"version": 1, "fitted_on": names, **asdict(fit(lakes, default_calibration()))}
    chosen.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
