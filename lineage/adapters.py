"""Which models an adapter fits: what a LoRA learned lies where its base's own weights lie.

An adapter changes a matrix W by scale * B A. The rows of A were moved by the inputs of W, the columns of B by the
errors behind it, and W itself was made of the same inputs and errors by the training of its base: units that mattered
to the one matter to the other. For A'A against W'W (and BB' against WW') that is a correlation of two matrices over
the same units, and where the adapter was trained on another network, whose units have another order, it is none: the
units of the one are exchangeable against those of the other. The permutation mean and variance of the sum of products
are exact (Mantel 1967, "The detection of disease clustering and a generalized regression approach"); sums over
modules whose units are the same (the residual stream) are permuted together.

That finds the family, and tells runs of one initialisation apart. Within a family all members fit about alike; unless
the merged model is there too, which is its base plus the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.rules.low_rank import ROUNDING

LEAST_UNITS = 16
LEAST_FIT = 6.0
"""Standard deviations from which on an adapter and a model are related; one in a billion pairs of strangers is."""

LORA_A, LORA_B = ".lora_A.weight", ".lora_B.weight"

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFit:
    """How well an adapter fits a model.

    Attributes
    ----------
    z : float
        Standard deviations above what an adapter of a stranger would reach; 0 where nothing could be compared.
    modules : int
        Number of matrices compared.
    """

    z: float
    modules: int


def adapter_fit(adapter: Fingerprint, model: Fingerprint) -> AdapterFit:
    """Test whether an adapter was trained on a model, or on a relative of it.

    Parameters
    ----------
    adapter : Fingerprint
        With pairs of `ROLE.lora_A.weight` (r, inputs) and `ROLE.lora_B.weight` (outputs, r).
    model : Fingerprint

    Returns
    -------
    AdapterFit

    Notes
    -----
    On the rows and columns that both fingerprints hold, at least 16 of them. Time O(m n^2) for m modules of n units.

    Examples
    --------
    >>> nothing = Fingerprint(version="v", tensors=())
    >>> adapter_fit(nothing, nothing).modules
    0
    """
    groups: dict[bytes, list[tuple[Matrix, Matrix]]] = {}
    modules = 0
    for down, up, base in _modules(adapter, model):
        held = _sides(down, up, base)
        modules += bool(held)
        for one, two, units in held:
            groups.setdefault(units.tobytes(), []).append((_off_diagonal(one), _off_diagonal(two)))
    total = variance = 0.0
    for sides in groups.values():
        excess, spread = _mantel(sides)
        total, variance = total + excess, variance + spread
    return AdapterFit(z=float(total / np.sqrt(variance)) if variance > 0 else 0.0, modules=modules)


def shared_modules(adapter: Fingerprint, model: Fingerprint) -> int:
    """How many matrices `adapter_fit` compares, in the time it takes to look."""
    return sum(bool(_sides(*tensors)) for tensors in _modules(adapter, model))


def is_merged(adapter: Fingerprint, base: Fingerprint, merged: Fingerprint) -> bool:
    """Whether `merged` is `base` with the adapter's product added, as far as the samples show.

    Every module that can be compared must have moved by scale * B A, to within a hundredth of its length and what
    storing it rounds away; at least one.
    """
    compared = 0
    for found in _changes(adapter, base, merged):
        if found is None:
            return False
        expected, change, held = found
        if np.linalg.norm(change - expected) > 1e-2 * np.linalg.norm(expected) + 2 * held:
            return False
        compared += bool(np.linalg.norm(expected) > 10 * held)
    return compared > 0


def repeated(adapter: Fingerprint, start: Fingerprint, end: Fingerprint) -> float:
    """Cosine between what an adapter adds and the change from one model to another, over the modules it has.

    Two trainings from one start agree in part: an adapter that repeats what led from `start` to `end` was not trained
    on `end`, which has that already. One that takes it back was: it unlearns what its base had learned.

    Returns
    -------
    float in [-1, 1]
        0 where nothing can be compared.
    """
    product = mine = theirs = 0.0
    for expected, change, _ in filter(None, _changes(adapter, start, end)):
        product += float(np.vdot(expected, change))
        mine += float(np.vdot(expected, expected))
        theirs += float(np.vdot(change, change))
    return product / float(np.sqrt(mine * theirs)) if mine * theirs > 0 else 0.0


def _changes(
    adapter: Fingerprint, start: Fingerprint, end: Fingerprint
) -> Iterator[tuple[Matrix, Matrix, float] | None]:
    """For each module scale * B A, the change of its matrix, and what storing that rounds away.

    None stands for a module that `end` lacks; what is not sampled at common places is passed over.
    """
    theirs = end.by_role()
    for down, up, tensor in _modules(adapter, start):
        other, oriented = theirs.get(tensor.role), _oriented(down, up, tensor)
        if other is None or oriented is None or other.block.shape != tensor.block.shape:
            yield None
            continue
        _, turned = oriented
        outputs, inputs = (tensor.columns, tensor.rows) if turned else (tensor.rows, tensor.columns)
        _, out_up, out_base = np.intersect1d(up.rows, outputs, assume_unique=True, return_indices=True)
        _, in_down, in_base = np.intersect1d(down.columns, inputs, assume_unique=True, return_indices=True)
        if down.block.shape[0] != down.shape[0] or up.block.shape[1] != up.shape[1] or not out_up.size * in_down.size:
            continue
        expected = adapter.scale * up.block[out_up].astype(np.float64) @ down.block[:, in_down].astype(np.float64)
        change = other.block.astype(np.float64) - tensor.block
        change = (change.T if turned else change)[np.ix_(out_base, in_base)]
        held = float(np.linalg.norm(tensor.block)) * max(ROUNDING.get(item.dtype, 0.0) for item in (tensor, other))
        yield expected, np.nan_to_num(change), held


def _modules(
    adapter: Fingerprint, model: Fingerprint
) -> list[tuple[TensorFingerprint, TensorFingerprint, TensorFingerprint]]:
    ours, theirs = adapter.by_role(), model.by_role()
    found = []
    for role, down in sorted(ours.items()):
        up, base = ours.get(role.replace(LORA_A, LORA_B)), theirs.get(role.replace(LORA_A, ".weight"))
        if not role.endswith(LORA_A) or up is None or base is None or len(base.shape) != 2:
            continue
        if all(tensor.block.size and not tensor.nonfinite for tensor in (down, up, base)):
            found.append((down, up, base))
    return found


def _oriented(down: TensorFingerprint, up: TensorFingerprint, base: TensorFingerprint) -> tuple[Matrix, bool] | None:
    """The base's block, outputs first, and whether it is stored inputs first; None where shapes do not fit."""
    if base.shape == (up.shape[0], down.shape[1]):
        return base.block.astype(np.float64), False
    if base.shape == (down.shape[1], up.shape[0]):
        return base.block.T.astype(np.float64), True
    return None


def _sides(
    down: TensorFingerprint, up: TensorFingerprint, base: TensorFingerprint
) -> list[tuple[Matrix, Matrix, NDArray[np.int64]]]:
    """What adapter and base have of the inputs and of the outputs, one row a unit, with the units they share."""
    oriented = _oriented(down, up, base)
    if oriented is None:
        return []
    weights, turned = oriented
    outputs, inputs = (base.columns, base.rows) if turned else (base.rows, base.columns)
    found = []
    for factor, held, block, units in (
        (down.block.T, down.columns, weights.T, inputs),
        (up.block, up.rows, weights, outputs),
    ):
        shared, mine, theirs = np.intersect1d(held, units, assume_unique=True, return_indices=True)
        if shared.size < LEAST_UNITS:
            continue
        small, large = factor[mine].astype(np.float64), block[theirs]
        if small.any() and large.any():
            found.append((small, large, shared))
    return found


def _off_diagonal(factor: Matrix) -> Matrix:
    """Products of the units with each other, scaled to unit energy so that no module drowns the others."""
    gram: Matrix = factor @ factor.T
    np.fill_diagonal(gram, 0.0)
    energy = float(np.linalg.norm(gram))
    return gram / energy if energy > 0 else gram


def _mantel(sides: Sequence[tuple[Matrix, Matrix]]) -> tuple[float, float]:
    """Sum of products over its permutation mean, and its permutation variance, all sides permuted alike.

    For matrices X_m, Y_m with empty diagonals, n units, and the sum over m of <X_m, Y_m>. With g the pairwise products
    of the matrices, r those of their row sums and t those of their totals, X and Y alike, the second moment of two
    terms is 2 g g' / n2 + 4 (r - g)(r' - g') / n3 + (t + 2 g - 4 r)(t' + 2 g' - 4 r') / n4, where nk is
    n (n - 1) ... (n - k + 1).
    """
    n = len(sides[0][0])
    moments = []
    for place in (0, 1):
        stack = np.stack([side[place] for side in sides])
        rows, totals = stack.sum(axis=2), stack.sum(axis=(1, 2))
        flat = stack.reshape(len(stack), -1)
        moments.append((flat @ flat.T, rows @ rows.T, np.outer(totals, totals), totals))
    (g, r, t, first), (g2, r2, t2, second) = moments
    pairs = n * (n - 1)
    mean = float(first @ second) / pairs
    squares = 2 * g * g2 / pairs + 4 * (r - g) * (r2 - g2) / (pairs * (n - 2))
    squares = squares + (t + 2 * g - 4 * r) * (t2 + 2 * g2 - 4 * r2) / (pairs * (n - 2) * (n - 3))
    variance = float(squares.sum()) - mean**2
    found = sum(float(np.vdot(one, two)) for one, two in sides)
    return found - mean, max(variance, 0.0)
