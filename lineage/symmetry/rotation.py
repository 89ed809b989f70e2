"""A residual stream that was turned: where norms only divide by a root mean square, a rotation changes no function.

With the scales of the norms folded into the maps behind them, W diag(g), a network and the same network with its stream
turned by an orthogonal matrix compute the same (Ashkboos et al. 2024, "SliceGPT", arXiv 2401.15024). Tokens keep their
order, so that the rotation follows from the token embeddings: the orthogonal Procrustes problem (Schoenemann 1966) on
E_B Q = E_A, solved by the singular value decomposition U S V' of E_B' E_A.

The columns of U and V pair directions of the two streams, from those that the vocabulary uses most to those it hardly
uses. Networks trained on like data may agree in the former: they mean the same. The quiet half carries what is left of
the random start, and there the pairing of independent networks is arbitrary. So units are matched on the loud half, and
the test of `lineage.symmetry.held_out` is made on the quiet one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from lineage.symmetry.aligning import Network, inner_axes, shared_couplings
from lineage.symmetry.held_out import HeldOutTest
from lineage.symmetry.units import Array, folded

LEAST_GAIN = 1e-3
"""Scales of a norm smaller than this beside its others are not divided by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A rotation from one stream to another.

    Attributes
    ----------
    matrix : (width, width) array
        Orthogonal; rows in the version's stream, columns in the reference's.
    log10_p : float
        Decadic logarithm of the p-value against independent training.
    """

    matrix: Array
    log10_p: float

    def apply(self, reference: Network, version: Network) -> Network:
        """The version in the reference's stream, with the reference's scales of norms."""
        symmetries = version.symmetries
        turned = dict(version.matrices)
        if symmetries.rotation is None:
            return version
        for role in symmetries.rotation.embeddings:
            if role in turned:
                turned[role] = turned[role] @ self.matrix
        for role in symmetries.rotation.writers:
            if role in turned:
                turned[role] = self.matrix.T @ turned[role]
        maps = folded(version.matrices, symmetries)
        for coupling in symmetries.norms:
            norm = coupling.slots[0].role
            gain = reference.matrices.get(norm)
            if gain is None or gain.shape != turned[norm].shape:
                gain = np.ones_like(turned[norm])
            small = np.abs(gain) < LEAST_GAIN * np.sqrt(np.mean(gain**2))
            gain = np.where(small, 1.0, gain)
            turned[norm] = gain
            for slot in coupling.slots:
                if slot.power < 0:
                    turned[slot.role] = (maps[slot.role] @ self.matrix) / gain
        return replace(version, matrices=turned)


def turn_between(reference: Network, version: Network) -> Turn | None:
    """The rotation from a version's stream to a reference's, with the p-value of their kinship; None without any."""
    known = reference.symmetries.rotation
    if known is None or version.symmetries.rotation is None or len(known.embeddings) != 1:
        return None
    role = known.embeddings[0]
    mine, theirs = reference.matrices.get(role), version.matrices.get(role)
    if mine is None or theirs is None or mine.shape[1] != theirs.shape[1]:
        return None
    rows, width = min(len(mine), len(theirs)), mine.shape[1]
    product = theirs[:rows].T @ mine[:rows]
    if rows < width or not np.isfinite(product).all() or not product.any():
        return None
    left, _, right = svd(product)
    one, two = _in_basis(reference, right.T), _in_basis(version, left)
    quiet: NDArray[np.bool_] = np.arange(width) >= width // 2
    test = HeldOutTest(
        shapes=(reference.shapes, version.shapes),
        inner=inner_axes(reference),
        halves=[lambda size: quiet if size == width else np.zeros(size, dtype=bool)],
    )
    for pair in shared_couplings(reference, version):
        test.add(one, two, pair)
    return Turn(matrix=left @ right, log10_p=test.log10_p())


def embedding_likeness(networks: Sequence[Network], *, rows: int = 96) -> Array:
    """How alike the token embeddings of networks are whatever the basis: correlation of the products between tokens.

    Returns
    -------
    (n, n) array
        0 beside networks that cannot be turned. A rotation does not change it.
    """
    vectors = []
    for network in networks:
        known = network.symmetries.rotation
        matrix = network.matrices.get(known.embeddings[0]) if known is not None and known.embeddings else None
        if matrix is None or len(matrix) < rows:
            vectors.append(np.zeros(rows * (rows - 1) // 2))
            continue
        part = matrix[:rows] - matrix[:rows].mean(axis=0)
        gram = (part @ part.T)[np.triu_indices(rows, 1)]
        gram = gram - gram.mean()
        size = float(np.linalg.norm(gram))
        vectors.append(gram / size if size > 0 else gram)
    stacked = np.stack(vectors)
    likeness: Array = stacked @ stacked.T
    return likeness


def _in_basis(network: Network, basis: Array) -> Mapping[str, Array]:
    """Folded matrices with the stream in another orthonormal basis."""
    turned = folded(network.matrices, network.symmetries)
    rotation = network.symmetries.rotation
    for coupling in network.symmetries.norms:
        for slot in coupling.slots:
            if slot.power < 0:
                turned[slot.role] = turned[slot.role] @ basis
    for role in rotation.writers if rotation is not None else ():
        if role in turned:
            turned[role] = basis.T @ turned[role]
    return turned
