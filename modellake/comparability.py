"""Whether a version holds anything by which kinship could show at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import VersionKind
from lineage.relatedness import LEAST_SIDE


def nothing_to_compare(fingerprint: Fingerprint) -> str | None:
    """Why no relative of a version could be found, whatever the lake holds; None where one could.

    Kinship shows in matrices with values that differ (`lineage.relatedness`). Adapters are held against the models that
    they fit, so that nothing is said of them.

    Returns
    -------
    str or None
        Words that follow "nothing in it can be compared: ".
    """
    if fingerprint.kind == VersionKind.ADAPTER:
        return None
    matrices = [item for item in fingerprint.tensors if len(item.shape) >= 2 and item.size]
    sampled = [item.block for item in matrices if min(item.block.shape) >= LEAST_SIDE]
    if any(_differ(values) for values in sampled):
        return None
    if not matrices:
        return "it has no matrix"
    if not any(item.block.size for item in matrices):
        return "its fingerprint holds no sampled values"
    if not sampled:
        return f"none of its matrices has {LEAST_SIDE} rows and columns"
    if not any(np.isfinite(values).any() for values in sampled):
        return "the values of its matrices are infinite or no numbers"
    return "each of its matrices holds one value throughout"


def _differ(values: NDArray[np.floating]) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() < finite.max())
