"""Families that only a rotation of the residual stream keeps apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.symmetry.mapped import network_of, symmetries_rotate
from lineage.symmetry.placing import LOG10_P
from lineage.symmetry.rotation import embedding_likeness, turn_between

LEAST_LIKENESS = 0.5
"""Of the embeddings of two families, from which on a rotation is sought."""


def turned_kin(fingerprints: Sequence[Fingerprint], groups: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Families that are one but for a rotation of the residual stream.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    groups : sequence of sequences of int
        The families found so far; the first member stands for each.

    Returns
    -------
    (n, n) bool array
        Symmetric; true between the first members of families that belong together.
    """
    found = np.eye(len(fingerprints), dtype=bool)
    able = [group[0] for group in groups if symmetries_rotate(fingerprints[group[0]])]
    if len(able) < 2:
        return found
    networks = [network_of(fingerprints[place]) for place in able]
    likeness = embedding_likeness(networks)
    for one, two in np.argwhere(np.triu(likeness, 1) > LEAST_LIKENESS).tolist():
        turn = turn_between(networks[one], networks[two])
        if turn is not None and turn.log10_p <= LOG10_P:
            found[able[one], able[two]] = found[able[two], able[one]] = True
    return found
