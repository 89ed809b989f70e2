"""What others do, on the same lakes: MoTHer, the nearest neighbour, and upload order.

    python -m benchmarks.peers LAKE...

Each takes more than the project's own engine is given: MoTHer the true families and the stage that scores better,
upload order the dates. All see full weights. Adapters and models that share no matrix of equal shape with another are
left without a parent.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.stats import kurtosis

from benchmarks.lakes.truth import Truth, truth_path
from benchmarks.scoring import PredictedEdge, Score, score
from graph_schema.labels import Relation
from lineage.mother import Stage, mother_tree

Weights = dict[str, NDArray[np.float32]]
Prediction = list[PredictedEdge]

NEURONS = 100
"""Rows of weights that the upload-order method compares."""


def read_matrices(lake: Path, truth: Truth) -> dict[str, Weights]:
    """The matrices (and convolutions, flattened to matrices) of every full model of a lake."""
    models = {}
    for model in truth.models:
        if not model.present or model.kind != "full":
            continue
        directory, tensors = lake / model.name, dict[str, torch.Tensor]()
        for file in sorted(directory.glob("*.safetensors")):
            tensors |= load_file(file)
        for file in sorted(directory.glob("*.bin")):
            tensors |= torch.load(file, weights_only=True)
        models[model.name] = {
            name: tensor.float().reshape(len(tensor), -1).numpy() for name, tensor in tensors.items() if tensor.ndim > 1
        }
    return models


def mother(models: Mapping[str, Weights], truth: Truth, stage: Stage) -> Prediction:
    """MoTHer (Horwitz, Shul, Hoshen 2024, arXiv 2405.18432), the true families and the stage given.

    Distances are relative Frobenius norms of the differences, averaged over layers; the directional score is the sum
    over layers of the kurtosis of the weights.
    """
    predicted: Prediction = []
    for family in truth.families:
        names = [name for name in family.members if name in models]
        if len(names) < 2:
            continue
        distances = distance_matrix([models[name] for name in names], mean_relative_distance)
        distances[~np.isfinite(distances)] = 10 * distances[np.isfinite(distances)].max()
        scores = np.array([sum(float(kurtosis(matrix, axis=None)) for matrix in models[n].values()) for n in names])
        tree = mother_tree(distances, scores, stage=stage)
        predicted += [
            _fine_tune(names[child], names[parent]) for child, parent in enumerate(tree.parents) if parent >= 0
        ]
    return predicted


def nearest(models: Mapping[str, Weights]) -> Prediction:
    """Every model descends from the one nearest to it; no direction, no abstention."""
    names = list(models)
    distances = distance_matrix([models[name] for name in names], l2_distance)
    return _nearest_allowed(names, distances, np.ones(distances.shape, bool))


def upload_order(models: Mapping[str, Weights], dates: Mapping[str, datetime], *, seed: int = 0) -> Prediction:
    """Every model descends from the nearest of those uploaded before it (after Horwitz et al. 2025, arXiv 2503.10633).

    Distances are taken on `NEURONS` random rows of all matrices together. Theirs also tells fans from snakes and keeps
    quantised models leaves, which needs their metadata and is left out.
    """
    names = list(models)
    sampled = [_sampled(models[name], seed) for name in names]
    distances = distance_matrix(sampled, l2_distance)
    when = np.array([dates[name].timestamp() for name in names])
    return _nearest_allowed(names, distances, when[None, :] < when[:, None])


def dates_of(truth: Truth, *, shuffled: int | None = None) -> dict[str, datetime]:
    """Dates of upload, true or dealt out anew by a seed."""
    names = [model.name for model in truth.models]
    dates = [datetime.fromisoformat(model.created_at) for model in truth.models]
    if shuffled is not None:
        dates = [dates[index] for index in np.random.default_rng(shuffled).permutation(len(dates))]
    return dict(zip(names, dates, strict=True))


def distance_matrix(models: Sequence[Weights], distance: Callable[[Weights, Weights], float]) -> NDArray[np.float64]:
    """Symmetric distances, infinite where two models share nothing."""
    distances = np.zeros((len(models), len(models)))
    for i, a in enumerate(models):
        for j in range(i):
            distances[i, j] = distances[j, i] = distance(a, models[j])
    return distances


def mean_relative_distance(a: Weights, b: Weights) -> float:
    """Frobenius distance over the geometric mean of the norms, averaged over the matrices shared."""
    found = [
        float(np.linalg.norm(a[name] - b[name]) / np.sqrt(np.linalg.norm(a[name]) * np.linalg.norm(b[name]) + 1e-30))
        for name in _shared(a, b)
    ]
    return sum(found) / len(found) if found else float("inf")


def l2_distance(a: Weights, b: Weights) -> float:
    """Distance of all shared matrices together, per square root of a value."""
    names = _shared(a, b)
    size = sum(a[name].size for name in names)
    return float(np.sqrt(sum(float(np.sum((a[n] - b[n]) ** 2)) for n in names) / size)) if names else float("inf")


def _shared(a: Weights, b: Weights) -> list[str]:
    return [name for name in a if name in b and a[name].shape == b[name].shape]


def _sampled(weights: Weights, seed: int) -> Weights:
    sampled = {}
    each = max(1, NEURONS // max(1, len(weights)))
    for name in sorted(weights):
        rng = np.random.default_rng((seed, sum(name.encode())))
        rows = rng.choice(len(weights[name]), min(each, len(weights[name])), replace=False)
        sampled[name] = weights[name][rows]
    return sampled


def _nearest_allowed(names: Sequence[str], distances: NDArray[np.float64], allowed: NDArray[np.bool_]) -> Prediction:
    """Row by row the nearest allowed column; a distance of zero is a duplicate, not a parent."""
    candidates = np.where(allowed & (distances > 0), distances, np.inf)
    best = candidates.argmin(1)
    return [
        _fine_tune(name, names[best[row]]) for row, name in enumerate(names) if np.isfinite(candidates[row, best[row]])
    ]


def _fine_tune(child: str, parent: str) -> PredictedEdge:
    return PredictedEdge(child=child, parent=parent, relation=Relation.FINE_TUNED_FROM)


def compare(lake: Path) -> dict[str, Score]:
    """Scores of all peers on one lake."""
    truth = Truth.read(truth_path(lake))
    models = read_matrices(lake, truth)
    by_stage = [score(mother(models, truth, stage), truth) for stage in Stage]
    return {
        "MoTHer, families and better stage given": max(by_stage, key=lambda result: result.parents.right),
        "nearest neighbour": score(nearest(models), truth),
        "upload order, true dates": score(upload_order(models, dates_of(truth)), truth),
        "upload order, shuffled dates": score(upload_order(models, dates_of(truth, shuffled=0)), truth),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", type=Path, nargs="+")
    for lake in parser.parse_args().lakes:
        print(lake)
        for name, result in compare(lake).items():
            tuned = result.parents_by_relation.get(Relation.FINE_TUNED_FROM, "-")
            print(f"  {name:42} parents {result.parents!s:14} fine-tunes {tuned!s:14} strangers {result.strangers}")


if __name__ == "__main__":
    main()
