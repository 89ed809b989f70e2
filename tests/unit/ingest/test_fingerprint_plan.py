"""What is sampled, and that it fits the budget whatever the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from ingest.fingerprint import BlockPlan, Extent
from ingest.fingerprint.file import to_bytes
from ingest.fingerprint.sampling import layer_free, sample

Shapes = list[tuple[str, str, tuple[int, ...]]]


def llama(layers: int, hidden: int, mlp: int, vocabulary: int, dtype: str = "BF16") -> Shapes:
    found: Shapes = [("embed.token.weight", dtype, (vocabulary, hidden)), ("head.weight", dtype, (vocabulary, hidden))]
    for n in range(layers):
        for part in ("query", "key", "value", "output"):
            found.append((f"layers.{n}.attention.{part}.weight", dtype, (hidden, hidden)))
        found.append((f"layers.{n}.mlp.gate.weight", dtype, (mlp, hidden)))
        found.append((f"layers.{n}.mlp.up.weight", dtype, (mlp, hidden)))
        found.append((f"layers.{n}.mlp.down.weight", dtype, (hidden, mlp)))
        found.append((f"layers.{n}.norm.attention.weight", dtype, (hidden,)))
        found.append((f"layers.{n}.norm.mlp.weight", dtype, (hidden,)))
    return found


def mixture() -> Shapes:
    found = llama(61, 7168, 2048, 129280)
    for n in range(3, 61):
        for part in ("gate", "up", "down"):
            found.append((f"layers.{n}.mlp.experts.{part}.weight", "F8_E4M3", (256, 2048, 7168)))
            found.append((f"layers.{n}.mlp.experts.{part}.weight_scale_inv", "F32", (256, 16, 56)))
    return found


def empty_fingerprint(shapes: Shapes, extents: list[Extent]) -> Fingerprint:
    tensors = []
    for (role, dtype, shape), extent in zip(shapes, extents, strict=True):
        size = int(np.prod(shape))
        height = shape[0] if len(shape) > 1 else 1
        tensors.append(
            TensorFingerprint(
                name=f"model.{role}",
                role=role,
                shape=shape,
                dtype=dtype,
                content="00" * 32,
                multiset="00" * 16,
                size=size,
                zeros=0,
                nonfinite=0,
                mean=0.0,
                variance=0.0,
                skewness=0.0,
                kurtosis=0.0,
                minimum=0.0,
                maximum=0.0,
                l1=0.0,
                l2=0.0,
                bf16_exact=0,
                f16_exact=0,
                mantissa_bits=0,
                levels=0,
                rows=sample(layer_free(role), "rows", height, extent.rows),
                columns=sample(layer_free(role), "columns", size // height, extent.columns),
                block=np.zeros((extent.rows, extent.columns), np.float64 if dtype == "F64" else np.float32),
                sketch=np.zeros((extent.sketch, extent.sketch), np.float32),
            )
        )
    return Fingerprint(version="00" * 20, tensors=tuple(sorted(tensors, key=lambda t: t.role)))


MODELS = {
    "tiny": llama(2, 64, 172, 1000),
    "1B": llama(16, 2048, 8192, 128256),
    "1B in fp32": llama(16, 2048, 8192, 128256, "F32"),
    "70B": llama(80, 8192, 28672, 128256),
    "671B mixture": mixture(),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_file_fits_the_budget(name: str) -> None:
    plan = BlockPlan()
    shapes = MODELS[name]
    extents = plan.extents(shapes)
    assert len(to_bytes(empty_fingerprint(shapes, extents))) <= plan.budget


@pytest.mark.parametrize("name", ["1B", "1B in fp32", "70B", "671B mixture"])
def test_topology_and_clock_get_their_blocks(name: str) -> None:
    extents = dict(zip((role for role, _, _ in MODELS[name]), BlockPlan().extents(MODELS[name]), strict=True))
    large = [role for role, extent in extents.items() if (extent.rows, extent.columns) == (256, 256)]
    assert len(large) >= 6
    assert all(role.endswith(("attention.query.weight", "attention.output.weight", "attention.value.weight",
                              "attention.key.weight", "mlp.down.weight")) for role in large)  # fmt: skip
    assert extents["embed.token.weight"].rows == 1024
    assert sum(extent.rows > 0 for extent in extents.values()) > 0.9 * len(extents)


def test_a_tiny_model_is_kept_whole() -> None:
    shapes = MODELS["tiny"]
    for (_, _, shape), extent in zip(shapes, BlockPlan().extents(shapes), strict=True):
        if np.prod(shape) <= 256 * 256:
            assert extent.rows * extent.columns == np.prod(shape)


def test_the_order_of_the_tensors_does_not_matter() -> None:
    shapes = MODELS["1B"]
    plain = dict(zip(shapes, BlockPlan().extents(shapes), strict=True))
    backwards = dict(zip(shapes[::-1], BlockPlan().extents(shapes[::-1]), strict=True))
    assert plain == backwards


def test_a_budget_below_the_records_keeps_the_records_alone() -> None:
    assert set(BlockPlan(budget=0).extents(MODELS["tiny"])) == {Extent()}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=8), st.integers(1, 3000), st.integers(0, 300), st.integers(0, 300), st.integers(0, 500))
def test_samples_are_nested(key: str, length: int, few: int, more: int, grown: int) -> None:
    few, more = sorted((few, more))
    small, large = sample(key, "rows", length, few), sample(key, "rows", length, more)
    assert set(small.tolist()) <= set(large.tolist())
    assert small.size == min(few, length)
    assert (np.diff(large) > 0).all()
    # Growing an axis only puts new indices in the place of old ones.
    longer = sample(key, "rows", length + grown, more)
    assert {index for index in longer.tolist() if index < length} <= set(large.tolist())


def test_samples_of_long_axes_are_those_of_one_sort() -> None:
    from ingest.fingerprint.sampling import mix, seed

    length = (1 << 20) * 2 + 77
    priorities = mix(seed("k", "rows"), np.arange(length, dtype=np.uint64))
    np.testing.assert_array_equal(sample("k", "rows", length, 100), np.sort(np.argsort(priorities)[:100]))


def test_layers_share_a_key_and_roles_do_not() -> None:
    assert layer_free("layers.3.mlp.experts.12.up.weight") == layer_free("layers.30.mlp.experts.7.up.weight")
    assert layer_free("layers.3.mlp.up.weight") != layer_free("layers.3.mlp.down.weight")


def test_without_an_architecture_names_and_order_of_axes_change_nothing_that_is_kept() -> None:
    shapes: Shapes = [(f"blocks.{n}.{part}", "F32", (900, 700)) for n in range(9) for part in ("up", "gate", "side")]
    shapes += [("table", "F32", (5000, 700)), ("gain", "F32", (700,)), ("small", "F32", (60, 50))]
    # Names as long as those, since they take room in the file.
    other = [("embed.".ljust(len(role), "_"), dtype, shape[::-1]) for role, dtype, shape in shapes]
    plain = BlockPlan().extents_by_shape(shapes)
    for one, two in zip(plain, BlockPlan().extents_by_shape(other), strict=True):
        assert sorted((one.rows, one.columns)) == sorted((two.rows, two.columns))
        assert one.sketch == two.sketch
    assert {(extent.rows, extent.columns) for extent in plain[:27]} == {(128, 128)}
    assert len(to_bytes(empty_fingerprint(shapes, plain))) <= BlockPlan().budget
