"""Copies of another scale or basis that were stored in 16 bits: the same but for rounding."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from graph_schema.fingerprint import Fingerprint
from lineage.rules.quantization import to_bf16
from lineage.symmetry.aligning import Network
from lineage.symmetry.copies import DistinctMembers
from lineage.symmetry.exact_scales import but_for_rounding
from lineage.symmetry.frame import frame_of
from tests.unit.lineage.symmetric_networks import laundered, names, network, turned


def stored(item: Network) -> Network:
    return replace(item, matrices={role: to_bf16(values) for role, values in item.matrices.items()})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("how", ["rescaled", "rotated"])
def test_a_copy_is_known_through_its_rounding(how: str, seed: int, taken: Callable[..., Fingerprint]) -> None:
    tuned = stored(network("llama", seed, step=0.02, tune=2))
    copy = laundered(tuned, seed, permuted=False) if how == "rescaled" else turned(tuned, seed)
    lake = {"root": network("llama", seed), "tuned": tuned, "child": network("llama", seed, step=0.03, tune=3)}
    lake["copy"] = copy
    members = {name: taken(names(stored(item)), "BF16") for name, item in lake.items()}
    frame = frame_of(sorted(members.values(), key=lambda item: item.version))
    assert {version: item.how for version, item in frame.laundered.items()} == {members["copy"].version: (how,)}
    assert not frame.blurred
    assert DistinctMembers.of(frame).copies == {members["copy"].version: members["tuned"].version}


def test_training_is_no_rounding() -> None:
    generator = np.random.default_rng(0)
    values = generator.standard_normal((6, 300))
    rounded = np.stack([to_bf16(0.7 * to_bf16(row)) for row in values])
    scale, sure = but_for_rounding(to_bf16(values) / rounded, 2.0**-8)
    assert sure.all()
    assert scale == pytest.approx(np.full(6, 1 / 0.7), rel=1e-3)
    trained = rounded + 0.001 * generator.standard_normal(values.shape)
    assert not but_for_rounding(to_bf16(values) / trained, 2.0**-8)[1].any()
