"""A version on its way into the common frame: its network, and what was done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from graph_schema.fingerprint import Fingerprint
from lineage.symmetry.aligning import Network, fitting, mapped_matrices
from lineage.symmetry.mapped import Ledger
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.rotation import Turn
from lineage.symmetry.weights import StoredMatrices

ROUNDED = 0.4
"""Root mean square of a rounding error, relative to the largest that it can be."""


@dataclass(slots=True)
class Member:
    """A version on its way into the common frame.

    Attributes
    ----------
    fingerprint : Fingerprint
        As it was.
    network : Network
        As it is by now.
    moved, rescaled : set of str
        Roles that were mapped, and those whose values changed with it.
    """

    fingerprint: Fingerprint
    network: Network
    moved: set[str] = field(default_factory=set)
    rescaled: set[str] = field(default_factory=set)

    @property
    def zeros(self) -> int:
        """Number of values that are zero."""
        return sum(tensor.zeros for tensor in self.fingerprint.tensors)

    @property
    def precision(self) -> float:
        """Relative error of storing a value, root mean square, in the coarsest of its floating-point matrices."""
        return ROUNDED * self.network.rounding

    @property
    def stored(self) -> bool:
        """Whether some of its tensors are read from files."""
        return isinstance(self.network.matrices, StoredMatrices)

    def turned(self, turn: Turn, reference: Network) -> None:
        """Turn its residual stream into the reference's."""
        before = self.network.matrices
        self.network = turn.apply(reference, self.network)
        changed = {role for role, matrix in self.network.matrices.items() if matrix is not before[role]}
        self.moved |= changed
        self.rescaled |= changed

    def mapped(self, maps: Sequence[UnitMap], lengths: Mapping[str, tuple[int, ...]]) -> None:
        """Apply the maps that fit its shapes, found for a network of these."""
        matrices, shapes = self.network.matrices, self.network.shapes
        chosen = fitting(maps, shapes, lengths)
        after = matrices.after(chosen) if isinstance(matrices, StoredMatrices) else mapped_matrices(matrices, chosen)
        self.network = replace(self.network, matrices=after)
        for item in chosen:
            self.moved.update(item.roles)
            if item.scale is not None:
                self.rescaled.update(slot.role for slot in item.coupling.slots if slot.power)

    def copy(self) -> Member:
        """The same, to be mapped on by itself."""
        return replace(self, moved=set(self.moved), rescaled=set(self.rescaled))

    def finished(self, ledger: Ledger, tied: Fingerprint | None = None) -> Fingerprint:
        """The version as it is by now, entered into a ledger; `tied` is another whose scales it has."""
        likely = {} if tied is None else tied.by_role()
        tensors = tuple(
            ledger.entered(
                tensor,
                self.network.matrices[tensor.role],
                rescaled=tensor.role in self.rescaled,
                likely=likely.get(tensor.role),
            )
            if tensor.role in self.moved and tensor.block.size
            else tensor
            for tensor in self.fingerprint.tensors
        )
        found = replace(self.fingerprint, tensors=tensors) if self.moved else self.fingerprint
        ledger.add(found)
        return found
