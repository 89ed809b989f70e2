"""Copies quantised to a coarse grid and stored in 16 bits: the grid is seen through the second rounding."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.inference import infer
from lineage.precision import largest_rounding
from lineage.rules.quantization import to_bf16, to_f16
from lineage.rules.traits import grid_step
from tests.unit.lineage.networks import network, trained

CASTS = {"BF16": to_bf16, "F16": to_f16}


def int8(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    step = np.abs(matrix).max(axis=1, keepdims=True) / 127
    return np.round(matrix / step) * step


@given(seed=st.integers(0, 500), dtype=st.sampled_from(sorted(CASTS)))
def test_the_step_of_a_rounded_grid_is_found_and_none_in_what_was_trained(seed: int, dtype: str) -> None:
    row = 0.05 * np.random.default_rng(seed).standard_normal((1, 256))
    step = float(np.abs(row).max()) / 127
    found = grid_step(CASTS[dtype](int8(row))[0].astype(np.float32), largest_rounding(dtype))
    assert found == pytest.approx(step, rel=0.01)
    assert grid_step(CASTS[dtype](row)[0].astype(np.float32), largest_rounding(dtype)) is None


@pytest.mark.parametrize("seed", range(3))
def test_an_int8_copy_in_bfloat16_is_known_for_one(seed: int, taken: Callable[..., Fingerprint]) -> None:
    def stored(weights: dict[str, NDArray[np.floating]]) -> dict[str, NDArray[np.floating]]:
        return {name: to_bf16(values.astype(np.float64)) for name, values in weights.items()}

    root = stored(network(seed))
    tuned = stored(trained(root, 1))
    copy = stored({name: int8(values) if values.ndim == 2 else values for name, values in tuned.items()})
    named = {taken(item, "BF16").version: name for name, item in (("root", root), ("tuned", tuned), ("copy", copy))}
    found = infer([taken(item, "BF16") for item in (root, tuned, copy)], least_confidence=0.0).derivations
    edges = {named[item.child]: (named[item.parents[0].id], item.relation) for item in found}
    assert edges["copy"] == ("tuned", Relation.QUANTIZED_FROM)
    assert edges["tuned"] == ("root", Relation.FINE_TUNED_FROM)
