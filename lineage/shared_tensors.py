"""Tensors that two versions have in common to the bit: what was frozen in training goes with the weights.

No training gives a tensor back its old values, so that the versions which hold one and the same are connected among
themselves: from where it was made, through all that left it alone. A tree in which that is so for every tensor, if
there is one, is a spanning tree of largest total weight where a link weighs as many tensors as its ends have in common
(the running intersection property of junction trees; Jensen and Jensen 1994, "Optimal junction trees").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.cues import TASK_HEADS
from lineage.pairs import Pair
from lineage.rules.passthrough import LEAST_SIZE

NEW = ("head", *TASK_HEADS)
"""Heads may be drawn anew from one seed."""


def shared_tensors(fingerprints: Sequence[Fingerprint], pairs: Sequence[Pair]) -> list[int]:
    """How many tensors the two versions of each pair have in common.

    Notes
    -----
    Time and memory O((n + m) r) for n versions, m pairs and r roles.
    """
    roles: dict[str, int] = {}
    contents: dict[tuple[str, str], int] = {}
    held = [[tensor for tensor in item.tensors if _counts(tensor)] for item in fingerprints]
    for tensors in held:
        for tensor in tensors:
            roles.setdefault(tensor.role, len(roles))
    known = np.zeros((len(fingerprints), len(roles)), dtype=np.int32)
    for place, tensors in enumerate(held):
        for tensor in tensors:
            key = tensor.role, tensor.content
            known[place, roles[tensor.role]] = contents.setdefault(key, len(contents) + 1)
    return [int(np.count_nonzero((known[one] == known[two]) & (known[one] > 0))) for one, two in pairs]


def _counts(tensor: TensorFingerprint) -> bool:
    # Small tensors, and constant ones, may be equal by chance.
    return tensor.size >= LEAST_SIZE and tensor.minimum < tensor.maximum and not tensor.role.startswith(NEW)
