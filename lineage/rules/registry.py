"""All rules in the order in which they are asked: the first answer counts."""

from __future__ import annotations

from collections.abc import Callable

from graph_schema.fingerprint import Fingerprint
from lineage.rules.comparison import Comparison, Transformation
from lineage.rules.equality import rearranged, same_values
from lineage.rules.expansion import expanded
from lineage.rules.hidden_grid import rounded
from lineage.rules.low_rank import low_rank
from lineage.rules.pruning import pruned
from lineage.rules.quantization import precision_cut, quantized
from lineage.rules.traits import Traits

Rule = Callable[[Comparison], Transformation | None]

LOSSY: tuple[tuple[str, Rule], ...] = (("half", precision_cut), ("sparse", pruned), ("coarse", quantized))
"""Rules that give a direction, each with the trait of the child that makes it worth asking."""


def directed_transformation(parent: Fingerprint, child: Fingerprint, signs: Traits) -> Transformation | None:
    """The first rule with a direction that explains the child; None where none does.

    Quantising to few levels sweeps small values to zero, so that a sparse child may be a coarse one: every rule whose
    trait shows is asked. A child with more values than the parent is only held against growth.
    """
    comparison = Comparison(parent=parent, child=child)
    if _larger(parent, child):
        return expanded(comparison)
    if not signs.any:
        return None
    for trait, rule in LOSSY:
        if getattr(signs, trait) or (trait == "coarse" and signs.sparse):
            found = rule(comparison)
            if found is not None:
                return found
    return None


def reversible_transformation(one: Fingerprint, two: Fingerprint) -> Transformation | None:
    """The first rule without a direction that connects the two; None where none does."""
    comparison = Comparison(parent=one, child=two)
    return same_values(comparison) or rearranged(comparison) or low_rank(comparison) or rounded(comparison)


def _larger(parent: Fingerprint, child: Fingerprint) -> bool:
    return child.parameters > parent.parameters
