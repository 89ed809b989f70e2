"""Expanded: the child has what the parent has, and more: layers, or rows of a vocabulary."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from graph_schema.derivation import Observation
from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from graph_schema.labels import Relation
from lineage.rules.comparison import Comparison, Transformation

_LAYER = re.compile(r"^((?:\w+\.)*?(?:layers|block)|stages\.\d+)\.(\d+)\.")
LEAST_EQUAL = 0.9
LEAST_SIDE = 16
KIN = 15.0


def expanded(comparison: Comparison) -> Transformation | None:
    """Whether the child was grown out of the parent: in depth, by repeating layers, or in vocabulary.

    Returns
    -------
    Transformation or None
        `EXPANDED_FROM`, directed. Depth: every layer of the child holds the tensors of some layer of the parent to the
        bit, and there are more of them. Vocabulary: the embedding or head has more rows, and what both have is equal.
    """
    return _deeper(comparison) or _wider_vocabulary(comparison)


def _deeper(comparison: Comparison) -> Transformation | None:
    ours, theirs = _layers(comparison.child.tensors), _layers(comparison.parent.tensors)
    if len(ours) <= len(theirs) or not theirs:
        return None
    known = {contents: layer for layer, contents in sorted(theirs.items(), reverse=True)}
    origin = {layer: known.get(contents) for layer, contents in sorted(ours.items())}
    found = [source for source in origin.values() if source is not None]
    if len(found) < LEAST_EQUAL * len(origin):
        return None
    return Transformation(
        relation=Relation.EXPANDED_FROM,
        method="depth",
        directed=True,
        summary=f"{len(ours)} layers made of the parent's {len(theirs)}",
        parameters={"layers": [-1 if source is None else source[1] for source in origin.values()]},
        observations=(
            Observation(
                kind="repeated_layers",
                statement=f"{len(found)} of {len(ours)} layers equal a layer of the parent, which has {len(theirs)}",
                value=len(found) / len(ours),
                log_odds=15.0,
                method="expanded",
            ),
        ),
    )


def added_rows(comparison: Comparison) -> int:
    """How many rows the child's vocabulary has more than the parent's, where all else about it has the same shape."""
    return max(
        (
            pair.two.shape[0] - pair.one.shape[0]
            for pair in comparison.pairs
            if pair.matrix and pair.role.startswith("embed.token") and pair.two.shape[1:] == pair.one.shape[1:]
        ),
        default=0,
    )


@cache
def layer_of(role: str) -> str | None:
    """The layer that a role belongs to, with its stack; None for what stands outside of layers.

    Examples
    --------
    >>> layer_of("encoder.layers.3.mlp.up.weight"), layer_of("embed.token.weight")
    ('encoder.layers.3', None)
    """
    match = _LAYER.match(role)
    return f"{match[1]}.{match[2]}" if match else None


def layer_count(fingerprint: Fingerprint) -> int:
    """Number of layers that have tensors of their own."""
    return len({layer_of(tensor.role) for tensor in fingerprint.tensors} - {None})


def repeats_layers(fingerprint: Fingerprint) -> bool:
    """Whether two layers of a version are kin: one is a copy of the other, perhaps trained further.

    Layers of one network are as independent as layers of two: of matrices of equal key in two layers, the correlation
    times the square root of (rows - 1)(columns - 1) has unit variance (`lineage.relatedness`). Only samples of the same
    rows and columns are compared, of at least `LEAST_SIDE` of each. Tied layers (equal to the bit throughout, by
    design) are no sign.
    """
    kinds: dict[str, list[TensorFingerprint]] = {}
    for tensor in fingerprint.tensors:
        match = _LAYER.match(tensor.role)
        if match and len(tensor.shape) >= 2 and min(tensor.block.shape) >= LEAST_SIDE:
            kinds.setdefault(f"{match[1]}.{tensor.role[match.end() :]}", []).append(tensor)
    kin = compared = 0
    for alike in kinds.values():
        blocks = [tensor.block for tensor in alike]
        if len(blocks) < 2 or len({block.shape for block in blocks}) > 1:
            continue
        flat = np.stack([_doubly_centred(block).ravel() for block in blocks])
        norms = np.linalg.norm(flat, axis=1, keepdims=True)
        correlation = (flat / np.where(norms > 0, norms, 1.0)) @ (flat / np.where(norms > 0, norms, 1.0)).T
        np.fill_diagonal(correlation, 0.0)
        rows, columns = blocks[0].shape
        compared += 1
        kin += float(correlation.max()) * np.sqrt((rows - 1) * (columns - 1)) > KIN
    return compared > 0 and kin > 0.5 * compared


def _doubly_centred(block: NDArray[np.floating]) -> NDArray[np.float64]:
    values = np.nan_to_num(block.astype(np.float64), posinf=0.0, neginf=0.0)
    centred: NDArray[np.float64] = (
        values - values.mean(axis=0, keepdims=True) - values.mean(axis=1, keepdims=True) + values.mean()
    )
    return centred


def _layers(tensors: tuple[TensorFingerprint, ...]) -> dict[tuple[str, int], tuple[tuple[str, str], ...]]:
    """Contents of every layer, by stack (a model may have an encoder and a decoder) and number."""
    layers: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for tensor in tensors:
        match = _LAYER.match(tensor.role)
        if match:
            layers.setdefault((match[1], int(match[2])), []).append((tensor.role[match.end() :], tensor.content))
    return {layer: tuple(sorted(contents)) for layer, contents in layers.items()}


def _wider_vocabulary(comparison: Comparison) -> Transformation | None:
    grown = [
        pair
        for pair in comparison.pairs
        if pair.matrix
        and pair.role.startswith(("embed", "head"))
        and pair.two.shape[0] > pair.one.shape[0]
        and pair.two.shape[1:] == pair.one.shape[1:]
    ]
    if not grown:
        return None
    rest = [pair for pair in comparison.pairs if pair not in grown]
    equal = sum(pair.equal for pair in rest) + sum(bool((pair.first == pair.second).all()) for pair in grown)
    if equal < LEAST_EQUAL * len(comparison.pairs):
        return None
    rows = grown[0].two.shape[0] - grown[0].one.shape[0]
    return Transformation(
        relation=Relation.EXPANDED_FROM,
        method="vocabulary",
        directed=True,
        summary=f"{rows} rows were added to the vocabulary",
        parameters={"rows": rows},
        observations=(
            Observation(
                kind="added_rows",
                statement=f"{rows} rows more in {', '.join(pair.role for pair in grown)}; {equal} of "
                f"{len(comparison.pairs)} tensors are equal where both have values",
                value=float(rows),
                log_odds=12.0,
                method="expanded",
            ),
        ),
    )
