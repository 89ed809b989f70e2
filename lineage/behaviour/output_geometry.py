"""Which outputs of a network are like which, and how far two networks agree on that, whatever their widths.

Logits are the output map times a hidden state, so that the products of the map's rows with each other say which outputs
rise and fall together. As in representational similarity analysis (Kriegeskorte et al. 2008), the likenesses in one map
are correlated with those in another. An output's own row is left out of its profile, since noise is like itself and
nothing else, and every output counts alike, where kernel alignment would hear the frequent ones alone.

A map that is also the input embedding may be mostly what it was drawn as. What the layers write into the hidden state
is not: seen through the map, every column that a feed-forward layer writes promotes some outputs and holds others back
(Geva et al. 2022, arXiv 2203.14680), and those columns together say which outputs the network treats alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint

OUTPUT_MAPS = ("head.weight", "score.weight", "classifier.weight", "embed.token.weight")
"""Where the output map is, the first that is there; embeddings serve where they are tied to it."""

WRITERS = re.compile(r"(decoder\.)?layers\.\d+\.mlp\.down\.weight")

BETWEEN = ("head.transform.weight", "head.projection.weight")
"""Layers between the last one and the output map, behind which what the layers write cannot be seen."""

LEAST_OUTPUTS = 8
MOST_OUTPUTS = 256

LEAST_HELD = 0.5
"""How much of the hidden state output map and writers must both have samples of."""

ROUNDING = 1e-12

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGeometry:
    """Likenesses of a network's outputs.

    Attributes
    ----------
    role : str
        Of the output map.
    outputs : (k,) int64 array
        Which outputs, ascending; at most `MOST_OUTPUTS`.
    products : (k, k) float32 array
        Of the map's rows, from which what is added to all of them alike is taken.
    cosines : (k, k) float32 array
        The same of what the layers write into each output; of the map's rows where that cannot be seen.
    written : bool
        Whether it can.
    """

    role: str
    outputs: NDArray[np.int64]
    products: NDArray[np.float32]
    cosines: NDArray[np.float32]
    written: bool


def output_map(fingerprint: Fingerprint) -> TensorFingerprint | None:
    """The matrix of outputs by hidden units, or None where there is none or nothing of it was kept."""
    held = {tensor.role: tensor for tensor in fingerprint.tensors if tensor.role in OUTPUT_MAPS}
    first = next((held[role] for role in OUTPUT_MAPS if role in held), None)
    return first if first is not None and len(first.shape) == 2 and first.block.size else None


def output_geometry(fingerprint: Fingerprint) -> OutputGeometry | None:
    """The likenesses of a network's outputs, or None where it has no output map or fewer outputs than are compared.

    Notes
    -----
    Time O(k w m) for a map of width w and m columns that layers write, memory O(k (k + m)); k is at most
    `MOST_OUTPUTS`.
    """
    tensor = output_map(fingerprint)
    if tensor is None or len(tensor.rows) < LEAST_OUTPUTS:
        return None
    rows = _finite(tensor.block[:MOST_OUTPUTS])
    # What is added to all logits alike changes no output.
    rows -= rows.mean(axis=0)
    seen = _written(fingerprint, tensor, rows)
    shown = _scaled(rows if seen is None else seen - seen.mean(axis=0))
    return OutputGeometry(
        role=tensor.role,
        outputs=tensor.rows[:MOST_OUTPUTS],
        products=(rows @ rows.T).astype(np.float32),
        cosines=(shown @ shown.T).astype(np.float32),
        written=seen is not None,
    )


def agreement(one: OutputGeometry, two: OutputGeometry, *, of: str) -> float | None:
    """How far two networks agree on which outputs are like which, over the outputs that both fingerprints hold.

    Parameters
    ----------
    of : str
        `products`, which follow the map most closely, or `cosines`, in which no output is louder than another.

    Returns
    -------
    float in [-1, 1] or None
        Mean over the outputs of the correlation between their likenesses to all others in the one network and in the
        other: 1 for the same geometry, whatever the widths and however the hidden units are turned. None where fewer
        than `LEAST_OUTPUTS` outputs are shared, or nothing is there to compare.

    Notes
    -----
    Of wide maps a sample of the hidden units is held, on which the likenesses are estimates. Time O(k^2).
    """
    shared, first, second = np.intersect1d(one.outputs, two.outputs, assume_unique=True, return_indices=True)
    if shared.size < LEAST_OUTPUTS:
        return None
    profiles = [
        _profiles((item.products if of == "products" else item.cosines)[np.ix_(kept, kept)])
        for item, kept in ((one, first), (two, second))
    ]
    correlations = np.einsum("rc,rc->r", profiles[0], profiles[1])
    told = profiles[0].any(axis=1) & profiles[1].any(axis=1)
    return float(correlations[told].mean()) if told.any() else None


def _written(fingerprint: Fingerprint, tensor: TensorFingerprint, rows: Values) -> Values | None:
    """What all feed-forward layers write, as the outputs see it; None where samples or roles do not allow it."""
    roles = fingerprint.by_role()
    writers = [item for role, item in sorted(roles.items()) if WRITERS.fullmatch(role) and item.block.size]
    decoders = [item for item in writers if item.role.startswith("decoder.")]
    prefix = "decoder." if decoders else ""
    norm = roles.get(f"{prefix}norm.final.weight")
    if norm is None or norm.block.size == 0 or any(role in roles for role in BETWEEN):
        return None
    width, seen = tensor.shape[1], []
    for item in decoders or writers:
        if len(item.shape) != 2 or width not in item.shape:
            continue
        turned = item.shape[0] != width
        block, hidden = (item.block.T, item.columns) if turned else (item.block, item.rows)
        units = np.intersect1d(np.intersect1d(tensor.columns, hidden), norm.columns)
        if units.size < LEAST_HELD * width:
            return None
        scale = _finite(norm.block.ravel()[np.searchsorted(norm.columns, units)])
        read = rows[:, np.searchsorted(tensor.columns, units)] * scale
        seen.append(read @ _finite(block[np.searchsorted(hidden, units)]))
    return np.hstack(seen) if seen else None


def _profiles(likenesses: NDArray[np.float32]) -> Values:
    """For each output its likenesses to all others, centred and of unit length; zero where they are all equal."""
    count = len(likenesses)
    others = likenesses[~np.eye(count, dtype=bool)].reshape(count, count - 1).astype(np.float64)
    others -= others.mean(axis=1, keepdims=True)
    return _scaled(others)


def _finite(block: NDArray[np.floating]) -> Values:
    return np.nan_to_num(block.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _scaled(rows: Values) -> Values:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Values = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > ROUNDING)
    return scaled
