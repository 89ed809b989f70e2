"""Quantised: the child's values lie on a coarser grid, and are the parent's, rounded to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graph_schema.derivation import Observation
from graph_schema.fingerprint import TensorFingerprint
from graph_schema.labels import Relation
from lineage.alignment import TensorPair
from lineage.rules.comparison import Comparison, Transformation
from lineage.rules.traits import grid_step, on_grid, scaled_bits, stored_within, variety

WITHIN_HALF_A_STEP = 0.998
FEW_BITS = 0.13

Block = NDArray[np.float64]


def to_bf16(values: Block) -> Block:
    """Values rounded to bfloat16, to nearest with ties to even, as float64.

    Examples
    --------
    >>> to_bf16(np.array([1.00390625, 3.0])).tolist()
    [1.0, 3.0]
    """
    bits = np.asarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(np.float64)


def to_f16(values: Block) -> Block:
    """Values rounded to float16, as float64; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32).astype(np.float16).astype(np.float64)


CASTS: tuple[tuple[str, Callable[[Block], Block]], ...] = (("bfloat16", to_bf16), ("float16", to_f16))


def precision_cut(comparison: Comparison) -> Transformation | None:
    """Whether every changed tensor of the child is the parent's, cast to bfloat16 or float16.

    Returns
    -------
    Transformation or None
        `QUANTIZED_FROM` with 16 bits. A cast loses bits, so the direction is certain. None where the cast would have
        changed nothing (the parent's values lie on the grid already).
    """
    if not comparison.changed:
        return None
    for name, cast in CASTS:
        sizes = 0
        for pair in comparison.changed:
            if not np.array_equal(cast(pair.first), pair.second):
                break
            sizes += pair.second.size
        else:
            if all(np.array_equal(pair.first, pair.second) for pair in comparison.changed):
                continue
            return Transformation(
                relation=Relation.QUANTIZED_FROM,
                method=name,
                directed=True,
                summary=f"the parent's values, cast to {name}",
                parameters={"bits": 16, "format": name},
                observations=(
                    Observation(
                        kind="cast",
                        statement=f"all {sizes:,} sampled values of {len(comparison.changed)} tensors are the parent's "
                        f"rounded to {name}, to the bit",
                        value=1.0,
                        log_odds=20.0,
                        method="precision_cut",
                    ),
                ),
            )
    return None


def quantized(comparison: Comparison) -> Transformation | None:
    """Whether most changed matrices of the child are the parent's, rounded to a coarse grid.

    A matrix counts when its values repeat far more than the parent's (`coarser`) and its difference from the parent
    looks like rounding: bounded, spread evenly between its bounds (kurtosis near 1.8, that of a uniform distribution,
    where training leaves 3 and more), and small beside the parent.

    Returns
    -------
    Transformation or None
        `QUANTIZED_FROM` with the number of levels seen and the bits they need. The direction is certain: rounding
        cannot be undone.
    """
    rounded = [pair for pair in comparison.changed_matrices if coarser(pair.two, pair.one) and _rounding(pair)]
    large = [pair for pair in comparison.changed_matrices if min(pair.first.shape) >= 4]
    if not rounded or len(rounded) < 0.6 * len(large):
        return None
    levels = int(np.median([_levels(pair.second) for pair in rounded]))
    bits = max(2, int(np.ceil(np.log2(max(levels, 2)))))
    summary = f"rounded to about {levels} levels a row"
    grid = f"take about {levels} values a row where the parent's take many more"
    scaled = [found for pair in rounded if (found := scaled_bits(pair.two))]
    if 2 * len(scaled) > len(rounded):
        bits = int(np.median(scaled))
        levels = 2**bits
        summary = f"rounded to {bits}-bit integers with a 16-bit scale for each group"
        grid = f"hold {bits}-bit integers times 16-bit scales, which use {bits + 9} bits of mantissa"
    kurtosis = float(np.median([_row_kurtosis(pair.delta) for pair in rounded]))
    error = float(np.median([np.linalg.norm(pair.delta) / np.linalg.norm(pair.first) for pair in rounded]))
    return Transformation(
        relation=Relation.QUANTIZED_FROM,
        method=f"{bits}-bit grid",
        directed=True,
        summary=f"the parent's values in {len(rounded)} matrices, {summary}",
        parameters={"levels": levels, "bits": bits, "relative_error": float(f"{error:.3g}")},
        observations=(
            Observation(
                kind="grid",
                statement=f"{len(rounded)} of {len(comparison.changed_matrices)} changed matrices {grid}",
                value=float(levels),
                log_odds=6.0,
                method="quantized",
            ),
            Observation(
                kind="rounding",
                statement=f"the differences are spread like rounding errors (kurtosis {kurtosis:.2f}; uniform has "
                f"1.80, training 3 and more) and are {error:.2%} of the parent's norm",
                value=kurtosis,
                log_odds=6.0,
                method="quantized",
            ),
        ),
    )


def coarser(child: TensorFingerprint, parent: TensorFingerprint) -> bool:
    """Whether the child's values repeat more than the parent's, are rounded to zero, or lie on grids it has not."""
    if parent.block.size == 0 or child.block.size == 0:
        return False
    fewer = variety(child) < 0.7 * variety(parent)
    swept = child.zeros > 0.02 * child.size + 4 * parent.zeros
    stepped = on_grid(child.block, stored_within(child)) and not on_grid(parent.block, stored_within(parent))
    scaled = scaled_bits(child) > 0 and not scaled_bits(parent)
    return fewer or swept or stepped or scaled


def _rounding(pair: TensorPair) -> bool:
    rounding = stored_within(pair.two)
    steps = [grid_step(row, rounding) for row in pair.second]
    if sum(step is not None for step in steps) > 0.6 * len(steps):
        # Where the step is known, rounding never errs by more than half of it; a relative of the source does.
        bounds = np.array([np.inf if step is None else 0.51 * step for step in steps])[:, None]
        within = np.abs(pair.delta) <= bounds + 1.01 * rounding * np.abs(pair.second)
        return bool(within.mean() > WITHIN_HALF_A_STEP and pair.delta.any())
    norm = float(np.linalg.norm(pair.first))
    size = float(np.linalg.norm(pair.delta))
    # A floating-point grid of few bits errs in proportion to the value: by a sixteenth with three bits of mantissa.
    if (np.abs(pair.delta) <= FEW_BITS * np.abs(pair.first) + 1e-3 * norm / np.sqrt(pair.first.size)).mean() > 0.97:
        return size > 0
    return 0 < size < 0.5 * norm and min(_row_kurtosis(pair.delta), _row_kurtosis(pair.delta.T)) < 2.5


def _row_kurtosis(delta: Block) -> float:
    """Median kurtosis of the rows about zero, each by its own scale: grids differ from row to row."""
    second = np.mean(delta**2, axis=1)
    live = second > 0
    if not live.any():
        return np.inf
    return float(np.median(np.mean(delta[live] ** 4, axis=1) / second[live] ** 2))


def _levels(block: Block) -> int:
    """Different values in a row or in a column, whichever are fewer."""
    return min(int(np.median([np.unique(line).size for line in lines])) for lines in (block, block.T))
