"""Model Tree Heritage Recovery (MoTHer), from its paper: the baseline that the project is measured against.

Inside a family of models, the distance between two models and a score that moves one way along every edge are put into
one matrix of costs, whose minimum arborescence is the tree (Horwitz, Shul and Hoshen 2024, "On the Origin of Llamas:
Model Tree Heritage Recovery", arXiv 2405.18432, ICLR 2025). The score is the sum over layers of the kurtosis of the
weights: it falls from parent to child while a model specialises (fine-tuning) and rises while it generalises
(pre-training). The paper has the user state the stage; `choose_stage` takes the one that contradicts itself least.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from lineage.arborescence import Arborescence, minimum_arborescence

LAMBDA = 0.3
"""The paper's weight of the directional term."""


class Stage(StrEnum):
    """What the training along the edges of a family did."""

    SPECIALIZATION = "specialization"
    GENERALIZATION = "generalization"


def mother_costs(
    distances: NDArray[np.float64], kurtosis: NDArray[np.float64], *, stage: Stage, weight: float = LAMBDA
) -> NDArray[np.float64]:
    """The paper's matrix of costs, M = D + weight * mean(D) * T.

    Parameters
    ----------
    distances : (n, n) array
        Symmetric, zero on the diagonal, at least 0. For full fine-tunes the distance of the weights averaged over
        layers, for LoRA the summed ranks of the differences.
    kurtosis : (n,) array
        Directional score of each model.
    stage : Stage
        T[i, j] is 1 where the edge i -> j contradicts it: kurtosis that rises while specialising, or falls while
        generalising. Equal scores contradict neither.
    weight : float
        The paper's lambda.

    Returns
    -------
    (n, n) array
        Cost of the edge from row to column.
    """
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or kurtosis.shape != distances.shape[:1]:
        raise ValueError(f"distances {distances.shape} and kurtosis {kurtosis.shape} do not belong together")
    rises = kurtosis[None, :] > kurtosis[:, None]
    falls = kurtosis[None, :] < kurtosis[:, None]
    contradicts = rises if stage is Stage.SPECIALIZATION else falls
    size = len(distances)
    mean = float(distances.sum() / (size * (size - 1))) if size > 1 else 0.0
    costs: NDArray[np.float64] = distances + weight * mean * contradicts
    return costs


def mother_tree(
    distances: NDArray[np.float64],
    kurtosis: NDArray[np.float64],
    *,
    stage: Stage | None = None,
    weight: float = LAMBDA,
) -> Arborescence:
    """The tree of one family by MoTHer.

    Parameters
    ----------
    distances, kurtosis, weight
        As for `mother_costs`.
    stage : Stage, optional
        Chosen by `choose_stage` where not given.

    Returns
    -------
    Arborescence
        Over the family in the order given.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.abs(np.subtract.outer([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]))
    >>> mother_tree(line, np.array([9.0, 8.0, 7.0]), stage=Stage.SPECIALIZATION).parents
    (-1, 0, 1)
    """
    if stage is None:
        stage = choose_stage(distances, kurtosis, weight=weight)
    costs = mother_costs(distances, kurtosis, stage=stage, weight=weight)
    size = len(costs)
    arcs = [(one, two, float(costs[one, two])) for one, two in permutations(range(size), 2)]
    tree = minimum_arborescence(size, arcs)
    if tree is None:  # pragma: no cover - a complete graph has an arborescence
        raise ValueError("no arborescence spans the family")
    return tree


def choose_stage(distances: NDArray[np.float64], kurtosis: NDArray[np.float64], *, weight: float = LAMBDA) -> Stage:
    """The stage whose cheapest tree costs least, that is, contradicts its own score least; specialising on a tie."""
    special, general = (
        mother_tree(distances, kurtosis, stage=stage, weight=weight).cost
        for stage in (Stage.SPECIALIZATION, Stage.GENERALIZATION)
    )
    return Stage.GENERALIZATION if general < special else Stage.SPECIALIZATION
