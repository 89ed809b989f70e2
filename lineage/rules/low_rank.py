"""Low-rank changes: a LoRA merged into its base, or a rank-one edit of a few matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svdvals

from graph_schema.derivation import Observation
from graph_schema.labels import Relation
from lineage.alignment import TensorPair
from lineage.rules.comparison import Comparison, Transformation

ROUNDING = {"F64": 2.0**-53, "F32": 2.0**-24, "F16": 2.0**-11, "BF16": 2.0**-8}
"""Largest relative error of storing a value in each dtype."""

ROUNDINGS = 3.0
"""Roundings that a change is allowed to hold, in root mean squares: that of each version as it was stored, and that of
each brought back from where it was rescaled."""


def change_rank(pair: TensorPair) -> tuple[int, NDArray[np.float64]]:
    """Numerical rank of the change of one matrix, above what storing it rounds away.

    Parameters
    ----------
    pair : TensorPair

    Returns
    -------
    rank : int
        Number of singular values of the sampled change above the noise floor: `ROUNDINGS` times the largest one that is
        expected of independent rounding errors, each a share of its value (Latala 2005, "Some estimates of norms of
        random matrices": the lengths of the longest row and of the longest column together, up to a constant).
    singular : array
        The singular values, descending.

    Notes
    -----
    The rank of a sampled block is that of the whole change as long as the block is larger; a rank near the block's
    side means "not low".
    """
    singular = svdvals(pair.delta, check_finite=False)
    step = max(ROUNDING.get(pair.one.dtype, 0.0), ROUNDING.get(pair.two.dtype, 0.0), 2.0**-24)
    squares = pair.second**2
    longest = np.sqrt(squares.sum(axis=0).max()) + np.sqrt(squares.sum(axis=1).max())
    floor = ROUNDINGS * step / np.sqrt(3.0) * longest
    return int((singular > floor).sum()), singular


def low_rank(comparison: Comparison) -> Transformation | None:
    """Whether every changed matrix changed by a low rank, and nothing else did.

    Returns
    -------
    Transformation or None
        `EDITED_FROM` where a rank-one change touches at most a tenth of the matrices; else `FINE_TUNED_FROM` by LoRA,
        with the rank (the most common over the matrices). Adding and taking away a low rank look alike, so no
        direction is given.

    Notes
    -----
    A rank counts as low up to a quarter of the block's smaller side, at least 1; blocks under 8 rows or columns are
    left out.
    """
    if not comparison.changed_matrices or comparison.gained or comparison.lost:
        return None
    if any(not pair.matrix for pair in comparison.changed):
        return None
    ranks = []
    for pair in comparison.changed_matrices:
        side = min(pair.delta.shape)
        if side < 8:
            continue
        rank, _ = change_rank(pair)
        if rank > max(1, side // 4):
            return None
        ranks.append(rank)
    present = [rank for rank in ranks if rank]
    if not present:
        return None
    rank = int(np.bincount(present).argmax())
    matrices = sum(pair.matrix for pair in comparison.pairs)
    touched = len(comparison.changed_matrices)
    local = max(present) == 1 and touched <= max(1, matrices // 10)
    observation = Observation(
        kind="change_rank",
        statement=f"the {touched} changed matrices of {matrices} changed by rank {rank} (largest {max(present)}), "
        "and nothing else changed",
        value=float(rank),
        log_odds=8.0,
        method="low_rank",
    )
    if local:
        return Transformation(
            relation=Relation.EDITED_FROM,
            method="rank-one edit",
            directed=False,
            summary=f"a rank-one change of {touched} of {matrices} matrices",
            parameters={"rank": 1, "tensors": [pair.role for pair in comparison.changed_matrices]},
            observations=(observation,),
        )
    return Transformation(
        relation=Relation.FINE_TUNED_FROM,
        method="LoRA, merged",
        directed=False,
        summary=f"a change of rank {rank} in {touched} of {matrices} matrices",
        parameters={"rank": rank, "matrices": touched},
        observations=(observation,),
    )
