"""The same function in other weights: a lossless change of dtype, or values that were only rearranged."""

from __future__ import annotations

import numpy as np

from graph_schema.derivation import Observation
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.rules.comparison import Comparison, Transformation


def same_values(comparison: Comparison) -> Transformation | None:
    """Whether all values are equal, stored in another dtype.

    Returns
    -------
    Transformation or None
        `REPARAMETRIZED_FROM`, undirected: widening and narrowing without loss look alike.
    """
    if comparison.gained or comparison.lost or not comparison.pairs:
        return None
    theirs = comparison.child.by_role()
    if all(tensor.content == theirs[tensor.role].content for tensor in comparison.parent.tensors):
        return _renamed(len(theirs))
    if any(pair.one.l2 != pair.two.l2 or not np.array_equal(pair.first, pair.second) for pair in comparison.changed):
        return None
    dtypes = sorted({f"{pair.one.dtype} and {pair.two.dtype}" for pair in comparison.changed})
    return Transformation(
        relation=Relation.REPARAMETRIZED_FROM,
        method="lossless cast",
        directed=False,
        summary="the same values, stored in another dtype",
        observations=(
            Observation(
                kind="same_values",
                statement=f"all sampled values and all norms are equal; stored as {', '.join(dtypes) or 'the same'}",
                log_odds=20.0,
                method="same_values",
            ),
        ),
    )


def rearrangement_key(fingerprint: Fingerprint) -> tuple[str, ...]:
    """Equal for two versions whose tensors hold the same values, in whatever order."""
    return tuple(f"{tensor.role} {tensor.multiset}" for tensor in fingerprint.tensors)


def rearranged(comparison: Comparison) -> Transformation | None:
    """Whether every tensor holds the parent's values in another order: neurons or heads were renumbered.

    Where no value has moved, the two are versions of their own by the names of their tensors or the order of axes
    alone (`lineage.common_names`).

    Returns
    -------
    Transformation or None
        `REPARAMETRIZED_FROM`, undirected. Every tensor must hold the same multiset of values.
    """
    roles = comparison.child.by_role()
    moved = 0
    for tensor in comparison.parent.tensors:
        other = roles.get(tensor.role)
        if other is None or other.multiset != tensor.multiset or not tensor.multiset:
            return None
        moved += other.content != tensor.content
    if len(roles) != len(comparison.parent.tensors):
        return None
    if not moved:
        return _renamed(len(roles))
    return _equal_values(
        "renumbered units",
        f"the same values in another order in {moved} tensors",
        "same_multiset",
        f"all {len(roles)} tensors hold the same values; in {moved} they stand in another order",
        moved,
    )


def _renamed(tensors: int) -> Transformation:
    return _equal_values(
        "renamed tensors",
        "the same values under other names",
        "same_values",
        f"all {tensors} tensors are equal to the bit; they are called otherwise",
        tensors,
    )


def _equal_values(method: str, summary: str, kind: str, statement: str, tensors: int) -> Transformation:
    """What no training leaves; of the two, either may have come first."""
    return Transformation(
        relation=Relation.REPARAMETRIZED_FROM,
        method=method,
        directed=False,
        summary=summary,
        parameters={"tensors": tensors},
        observations=(
            Observation(kind=kind, statement=statement, value=float(tensors), log_odds=20.0, method="rearranged"),
        ),
    )
