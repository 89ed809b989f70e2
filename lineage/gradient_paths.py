"""Which member of a family an adapter was trained on: its gradients came back through what lies behind each matrix.

What a LoRA writes, the columns of B, is a sum of errors at the outputs of its matrix, and these came back through the
next matrix: those of a value are sums of rows of the output projection, those of a neuron of its column in the map
down, those of a query sums of keys. Units that the matrix behind treats alike were moved alike. So the likeness of the
rows of B to each other is held against that of the units behind, in each member less what all of them have in common.
Rows count by direction alone, since Adam brings all of them to one length; and only units of one head, since no error
reaches one head through the keys or outputs of another. How many heads there are is told by where the adapter agrees
best with the family as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.adapters import LEAST_UNITS, LORA_B
from lineage.symmetry.couplings import Coupling, Shape, Slot, matrix_shape, symmetries_of

MOST_MODULES = 48
"""Matrices of an adapter that are looked at, evenly over its layers."""

SINKS = ("output", "down")
BEHIND = {"query": ("key",), "key": ("query",), "value": SINKS, "up": SINKS, "gate": SINKS}
"""What the errors at the outputs of a matrix came back through."""

PARTS = {"query_key_value": ("query", "key", "value"), "gate_up": ("gate", "up")}
"""What matrices hold that are several in one."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Likeness:
    """The rows of an adapter's B, and the units behind them in every member.

    Attributes
    ----------
    units : (u,) int64 array
    length : int
        Of the whole axis.
    adapter : (u, u) array
        Cosines between the rows of B.
    members : (n, u, u) array
        Cosines between the units behind.
    """

    units: NDArray[np.int64]
    length: int
    adapter: Values
    members: Values


def gradient_paths(adapter: Fingerprint, members: Sequence[Fingerprint]) -> Values:
    """How well an adapter's gradients fit each member of a family better than the family as a whole.

    Parameters
    ----------
    adapter : Fingerprint
        With pairs of `ROLE.lora_A.weight` and `ROLE.lora_B.weight`.
    members : sequence of Fingerprint
        Of one architecture and in one order of units.

    Returns
    -------
    (n,) array
        Sums of correlations, in standard deviations of what chance would give were all pairs of units independent;
        they are not, so that only ratios count (`lineage.calibration`). Zeros where nothing can be compared.

    Notes
    -----
    Time O(n m u^3) for m modules with samples of u units.
    """
    found = np.zeros(len(members))
    if len(members) < 2:
        return found
    kinds: dict[tuple[str, tuple[int, ...]], list[_Likeness]] = {}
    for coupling, likeness in _likenesses(adapter, members):
        kinds.setdefault((coupling.kind, coupling.candidates), []).append(likeness)
    for (_, candidates), alike in sorted(kinds.items(), key=lambda item: item[0]):
        heads = max(candidates, key=lambda count: _set_apart(alike, count)) if len(candidates) > 1 else 1
        terms = [_apart(item, mask) for item in alike if (mask := _within(item, heads)).any()]
        found += np.sum(terms, axis=0) / np.sqrt(len(terms)) if terms else 0.0
    return found


def _likenesses(adapter: Fingerprint, members: Sequence[Fingerprint]) -> Iterator[tuple[Coupling, _Likeness]]:
    ours, theirs = adapter.by_role(), [item.by_role() for item in members]
    shapes = {role: tensor.shape for role, tensor in theirs[0].items()}
    pairs = [
        (coupling, slot, behind)
        for coupling in symmetries_of(members[0].architecture, shapes).couplings
        for slot in coupling.slots
        if _lora_b(slot) in ours
        for behind in coupling.slots
        if _part_of(behind) in BEHIND.get(_part_of(slot), ()) and _length(behind, shapes) == _length(slot, shapes)
    ]
    for place in np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_MODULES)).astype(int)).tolist():
        coupling, slot, behind = pairs[place]
        up, there = ours[_lora_b(slot)], [roles.get(behind.role) for roles in theirs]
        held = [item for item in there if item is not None and item.shape == shapes[behind.role] and item.block.size]
        if up.shape[0] != shapes[slot.role][slot.axis] or up.nonfinite or len(held) < len(members):
            continue
        units, rows = _vectors(up, replace(slot, axis=0), slot.parts * _length(slot, shapes))
        # Samples differ in size where members do: what has more tensors has less room for each.
        sampled = [_vectors(item, behind, shapes[behind.role][behind.axis]) for item in held]
        shared = reduce(np.intersect1d, (places for places, _ in sampled), units)
        if shared.size < LEAST_UNITS:
            continue
        yield (
            coupling,
            _Likeness(
                units=shared,
                length=_length(slot, shapes),
                adapter=_cosines(rows[_places_of(shared, units)]),
                members=np.stack([_cosines(vectors[_places_of(shared, places)]) for places, vectors in sampled]),
            ),
        )


def _places_of(wanted: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where some units stand among others that hold all of them."""
    order = np.argsort(units, kind="stable")
    return order[np.searchsorted(units[order], wanted)]


def _lora_b(slot: Slot) -> str:
    return slot.role.removesuffix(".weight") + LORA_B


def _part_of(slot: Slot) -> str:
    """What a slot is: `query`, `up`, `output` and so on; empty for a vector."""
    *_, name, kind = ("", *slot.role.split("."))
    return PARTS.get(name, (name,))[min(slot.part, len(PARTS.get(name, (name,))) - 1)] if kind == "weight" else ""


def _length(slot: Slot, shapes: Mapping[str, Shape]) -> int:
    return matrix_shape(shapes[slot.role])[slot.axis] // slot.parts


def _vectors(tensor: TensorFingerprint, slot: Slot, length: int) -> tuple[NDArray[np.int64], Values]:
    """The sampled units of a slot, counted within its part, and a row for each."""
    places, block = (tensor.rows, tensor.block) if slot.axis == 0 else (tensor.columns, tensor.block.T)
    step = length // slot.parts
    inside = (places >= slot.part * step) & (places < (slot.part + 1) * step)
    rows = np.nan_to_num(block[inside].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return places[inside] - slot.part * step, rows.reshape(len(rows), -1)


def _cosines(rows: Values) -> Values:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled = rows / np.where(lengths > 0, lengths, 1.0)
    found: Values = scaled @ scaled.T
    return found


def _within(item: _Likeness, heads: int) -> NDArray[np.bool_]:
    """Pairs of units within one head."""
    head = item.units // (item.length // heads)
    same: NDArray[np.bool_] = (head[:, None] == head[None, :]) & ~np.eye(len(head), dtype=bool)
    return same


def _set_apart(alike: Sequence[_Likeness], heads: int) -> float:
    """How much better an adapter agrees with a family as a whole within heads than between them."""
    found = 0.0
    for item in alike:
        inside, outside = _within(item, heads), ~_within(item, heads) & _within(item, 1)
        if inside.any() and outside.any():
            both = item.adapter * item.members.mean(axis=0)
            spread = float(both[_within(item, 1)].std()) or 1.0
            pairs = 1 / (1 / inside.sum() + 1 / outside.sum())
            found += float(both[inside].mean() - both[outside].mean()) / spread * float(np.sqrt(pairs))
    return found


def _apart(item: _Likeness, mask: NDArray[np.bool_]) -> Values:
    """How far an adapter agrees with what each member has beside what is common to all."""
    members = item.members[:, mask]
    mean = members.mean(axis=0)
    energy = float(mean @ mean)
    own = members - np.outer(members @ mean / energy, mean) if energy > 0 else members
    return np.array([_correlation(item.adapter[mask], row) for row in own])


def _correlation(one: Values, two: Values) -> float:
    """Of values with mean zero, in standard deviations; every pair of units is there twice."""
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / size * float(np.sqrt(len(one) / 2)) if size > 0 else 0.0
