"""What the rules look at: a would-be parent and child side by side; and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from graph_schema.derivation import Observation
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.alignment import TensorPair, tensor_pairs


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A would-be parent and a would-be child, tensor by tensor (`first` is the parent's side)."""

    parent: Fingerprint
    child: Fingerprint

    @cached_property
    def pairs(self) -> tuple[TensorPair, ...]:
        """The roles they share, where the samples overlap."""
        return tuple(tensor_pairs(self.parent, self.child))

    @cached_property
    def changed(self) -> tuple[TensorPair, ...]:
        """The shared roles whose values are not the same to the bit."""
        return tuple(pair for pair in self.pairs if not pair.equal)

    @cached_property
    def changed_matrices(self) -> tuple[TensorPair, ...]:
        """The changed ones that are matrices."""
        return tuple(pair for pair in self.changed if pair.matrix)

    @cached_property
    def gained(self) -> tuple[str, ...]:
        """Roles that only the child has."""
        roles = self.parent.by_role()
        return tuple(tensor.role for tensor in self.child.tensors if tensor.role not in roles)

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """Roles that only the parent has."""
        roles = self.child.by_role()
        return tuple(tensor.role for tensor in self.parent.tensors if tensor.role not in roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformation:
    """A rule's answer: what was done to the parent to make the child.

    Attributes
    ----------
    relation : Relation
    method : str
        Name of the operation, such as `int8` or `magnitude`.
    directed : bool
        Whether the rule also says which of the two came first; if not, only that one was made from the other.
    summary : str
        One sentence for people.
    parameters : mapping
        Bits, sparsity, rank.
    observations : tuple of Observation
    """

    relation: Relation
    method: str
    directed: bool
    summary: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()
