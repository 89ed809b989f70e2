"""Taking fingerprints: what they say, what leaves them alone, and that they are the same to the bit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from graph_schema.errors import FormatError, InputError
from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from ingest.blobs import MemoryBlob
from ingest.fingerprint import BlockPlan, Extent, take_fingerprint
from ingest.fingerprint.chunks import chunks_of
from ingest.fingerprint.file import to_bytes
from ingest.fingerprint.measure import Measurement
from ingest.fingerprint.values import decode
from ingest.readers.safetensors import SafetensorsSource
from ingest.tensors import STORAGE, TensorInfo

Arrays = Mapping[str, tuple[str, NDArray[np.generic]]]


RARE = [0, 0x80000000, 1, 0x80000001, 0x7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFFFFFFF, 0x3F800000, 0xBF802000]
"""Bits of float32: zeros, subnormal, infinite and NaN, and what is exact in coarser formats."""


class ArraySource:
    """Tensors in memory, given as (dtype, stored values)."""

    format = "memory"
    model_type = ""
    location = "memory"

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.tensors = [TensorInfo(name=n, dtype=d, shape=v.shape) for n, (d, v) in sorted(arrays.items())]

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        return self.arrays[tensor.name][1].reshape(-1)[start:stop]

    def close(self) -> None: ...

    def __enter__(self) -> ArraySource:
        return self

    def __exit__(self, *exception: object) -> None: ...


def noise(seed: int, shape: tuple[int, ...], dtype: str = "F32") -> tuple[str, NDArray[np.generic]]:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * np.float32(0.02)
    if dtype == "BF16":
        return dtype, (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    if dtype in ("F8_E4M3", "F8_E5M2"):
        return dtype, np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    if dtype == "BOOL":
        return dtype, (values > 0).astype(np.uint8)
    if dtype[0] in "IU":
        return dtype, (values * 1000).astype(np.int64).astype(STORAGE[dtype])
    return dtype, values.astype(STORAGE[dtype])


def fingerprint(arrays: Arrays, **options: object) -> Fingerprint:
    return take_fingerprint(ArraySource(arrays), **options)  # type: ignore[arg-type]


def one(dtype: str, values: NDArray[np.generic], **options: object) -> TensorFingerprint:
    return fingerprint({"weight": (dtype, values)}, **options).tensors[0]


def measured(info: TensorInfo, values: NDArray[np.generic], extent: Extent, chunk_bytes: int) -> TensorFingerprint:
    measurement = Measurement(info, info.name, extent)
    flat = values.reshape(-1)
    for chunk in chunks_of(measurement.height, measurement.width, flat.dtype.itemsize, chunk_bytes):
        measurement.collect(measurement.measure(chunk, flat[chunk.start : chunk.stop]))
    return measurement.finish("00" * 32)


@pytest.mark.parametrize("dtype", STORAGE)
def test_statistics_are_those_of_numpy_and_scipy(dtype: str) -> None:
    stored = noise(1, (70, 331), dtype)[1]
    values = decode(dtype, stored).astype(np.float64).ravel()
    values = values[np.isfinite(values)]
    found = one(dtype, stored)
    assert found.size == stored.size
    assert found.nonfinite == stored.size - values.size
    assert found.zeros == np.count_nonzero(values == 0)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    expected = [values.mean(), values.var(), stats.skew(values), stats.kurtosis(values, fisher=False)]
    np.testing.assert_allclose(
        [found.mean, found.variance, found.skewness, found.kurtosis], expected, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose([found.l1, found.l2], [np.abs(values).sum(), np.sqrt((values**2).sum())], rtol=1e-12)
    single = values.astype(np.float32)
    with np.errstate(over="ignore"):
        assert found.f16_exact == np.count_nonzero(values.astype(np.float16).astype(np.float64) == values)
    assert found.bf16_exact == np.count_nonzero(
        (single.astype(np.float64) == values) & (single.view(np.uint32) & np.uint32(0xFFFF) == 0)
    )
    mantissas = values[values != 0].view(np.uint64) & np.uint64((1 << 52) - 1)
    used = int(np.bitwise_or.reduce(mantissas, initial=np.uint64(0)))
    assert found.mantissa_bits == (52 - ((used & -used).bit_length() - 1) if used else 0)


@pytest.mark.parametrize("offset", [0.0, 1.0, -300.0])
def test_moments_are_sound_far_from_zero(offset: float) -> None:
    values = (np.random.default_rng(0).standard_normal((2, 1 << 20)) * 1e-3 + offset).astype(np.float32)
    found = one("F32", values)
    exact = values.astype(np.float64).ravel()
    np.testing.assert_allclose(found.variance, exact.var(), rtol=1e-9)
    np.testing.assert_allclose(found.kurtosis, stats.kurtosis(exact, fisher=False), rtol=1e-7)


def test_a_constant_has_no_variance_at_all() -> None:
    found = one("F32", np.full((300, 7), 0.1, np.float32))
    assert (found.variance, found.skewness, found.kurtosis) == (0, 0, 0)
    assert found.mean == found.minimum == found.maximum == np.float32(0.1)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    values = noise(3, (64, 5000))[1].astype(np.float32)
    values[3, 5], values[9, 9], values[60, 4999] = np.nan, np.inf, -np.inf
    found = one("F32", values, plan=BlockPlan(budget=6000))
    finite = values[np.isfinite(values)].astype(np.float64)
    assert found.nonfinite == 3
    np.testing.assert_allclose([found.mean, found.variance], [finite.mean(), finite.var()], rtol=1e-9)
    assert np.isfinite(found.sketch).all()
    nothing = one("F32", np.full((2, 2), np.nan, np.float32))
    assert (nothing.nonfinite, nothing.mean, nothing.minimum, nothing.l2) == (4, 0, 0, 0)
    assert np.isnan(nothing.block).all()


def test_extreme_doubles_give_finite_statistics() -> None:
    found = one("F64", np.array([[1e300, -1e300], [1e308, 5e-324]]))
    assert np.isfinite([found.mean, found.variance, found.skewness, found.kurtosis, found.l1, found.l2]).all()


def test_empty_tensors_and_scalars_count() -> None:
    found = fingerprint({"a": ("F32", np.zeros((0, 4), np.float32)), "b": ("F32", np.float32([3]).reshape(()))})
    empty, scalar = found.tensors
    assert (empty.size, empty.shape, empty.block.size) == (0, (0, 4), 0)
    assert (scalar.shape, scalar.mean, scalar.block.tolist()) == ((), 3, [[3]])


def model(seed: int = 0) -> dict[str, tuple[str, NDArray[np.generic]]]:
    found = {"model.embed_tokens.weight": noise(seed, (3000, 64), "BF16"), "lm_head.weight": noise(9, (3000, 64))}
    for layer in range(2):
        for number, part in enumerate(("q_proj", "k_proj", "v_proj", "o_proj")):
            found[f"model.layers.{layer}.self_attn.{part}.weight"] = noise(seed + 10 * layer + number, (300, 400))
        found[f"model.layers.{layer}.mlp.down_proj.weight"] = noise(seed + 50 + layer, (300, 700), "F16")
        found[f"model.layers.{layer}.mlp.up_proj.weight"] = noise(seed + 60 + layer, (700, 300), "F8_E4M3")
        found[f"model.layers.{layer}.input_layernorm.weight"] = noise(seed + 70 + layer, (300,))
    return found


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(height: int, width: int, itemsize: int) -> object:
        return chunks_of(height, width, itemsize, 1 << 13)

    monkeypatch.setattr("ingest.fingerprint.taking.chunks_of", cut)


@pytest.mark.usefixtures("small_chunks")
def test_the_number_of_workers_changes_no_bit() -> None:
    plan = BlockPlan(budget=120_000)
    alone = to_bytes(fingerprint(model(), workers=1, plan=plan))
    assert all(to_bytes(fingerprint(model(), workers=workers, plan=plan)) == alone for workers in (2, 3, 7))


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16", "F8_E5M2", "F64", "I32"])
def test_where_chunks_end_changes_only_the_rounding(dtype: str) -> None:
    values = noise(5, (37, 2100), dtype)[1]
    info = TensorInfo(name="layers.0.weight", dtype=dtype, shape=values.shape)
    whole, *others = (
        measured(info, values, Extent(rows=20, columns=20, sketch=16), size) for size in (1 << 22, 40_000, 3000)
    )
    for other in others:
        np.testing.assert_array_equal(other.block, whole.block)
        np.testing.assert_allclose(other.sketch, whole.sketch, rtol=1e-5, atol=1e-6 * whole.l2)
        np.testing.assert_allclose(other.kurtosis, whole.kurtosis, rtol=1e-9)
        for exact in (
            "multiset",
            "zeros",
            "nonfinite",
            "minimum",
            "maximum",
            "bf16_exact",
            "f16_exact",
            "mantissa_bits",
        ):
            assert getattr(other, exact) == getattr(whole, exact)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F64", "I64", "U8"])
def test_a_permutation_leaves_the_multiset_alone_and_a_change_does_not(dtype: str) -> None:
    values = noise(6, (50, 90), dtype)[1]
    shuffled = np.random.default_rng(0).permutation(values.ravel()).reshape(values.shape)
    changed = values.copy()
    changed[0, 0] = values[0, 0] + 1
    before, after = one(dtype, values), one(dtype, shuffled)
    assert before.multiset == after.multiset
    assert before.content != after.content
    assert one(dtype, changed).multiset != before.multiset


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 300))
def test_sketch_and_block_are_linear(seed: int, rows: int, columns: int) -> None:
    generator = np.random.default_rng(seed)
    # Multiples of 2**-10 below one: their differences are exact, so that only the sketch rounds.
    a, b = (generator.integers(-1000, 1000, (rows, columns)).astype(np.float32) / 1024 for _ in range(2))
    info = TensorInfo(name="layers.3.weight", dtype="F32", shape=(rows, columns))
    extent = Extent(rows=9, columns=9, sketch=16)
    first, second, difference = (measured(info, values, extent, 1 << 12) for values in (a, b, a - b))
    np.testing.assert_array_equal(first.block - second.block, difference.block)
    np.testing.assert_allclose(first.sketch - second.sketch, difference.sketch, atol=1e-3)


def test_the_sketch_keeps_energy_and_angles_on_average() -> None:
    info = TensorInfo(name="layers.3.weight", dtype="F32", shape=(256, 512))
    ratios = []
    for seed in range(20):
        found = measured(info, noise(seed, (256, 512))[1], Extent(sketch=16), 1 << 20)
        ratios.append(float(np.sum(found.sketch.astype(np.float64) ** 2)) / found.l2**2)
    assert abs(np.mean(ratios) - 1) < 0.1


def test_a_smaller_sketch_is_the_larger_folded() -> None:
    info = TensorInfo(name="layers.3.weight", dtype="F32", shape=(256, 512))
    large, small = (measured(info, noise(1, (256, 512))[1], Extent(sketch=side), 1 << 20).sketch for side in (16, 4))
    np.testing.assert_allclose(large.reshape(4, 4, 4, 4).sum(axis=(1, 3)), small, rtol=1e-5, atol=1e-6)


def test_wrappers_shards_and_implied_buffers_do_not_change_the_version() -> None:
    plain = {
        "embeddings.word_embeddings.weight": noise(1, (40, 8)),
        "encoder.layer.0.attention.self.query.weight": noise(2, (8, 8)),
        "encoder.layer.0.output.dense.weight": noise(3, (8, 32)),
    }
    wrapped = {f"bert.{name}": value for name, value in plain.items()}
    wrapped["bert.embeddings.position_ids"] = ("I64", np.arange(8, dtype=np.int64))
    assert fingerprint(plain).version == fingerprint(wrapped).version
    assert fingerprint(plain).architecture == "bert"


def test_a_tied_head_is_left_out_and_a_trained_one_is_not() -> None:
    layers = {name: value for name, value in model().items() if name != "lm_head.weight"}
    tied = layers | {"lm_head.weight": layers["model.embed_tokens.weight"]}
    assert fingerprint(tied).version == fingerprint(layers).version
    assert fingerprint(model()).version != fingerprint(layers).version


def test_equal_weights_in_a_file_of_safetensors_have_the_same_version() -> None:
    from safetensors.numpy import save

    arrays = {f"layer.{number}.weight": noise(number, (20, 30))[1] for number in range(3)}
    with SafetensorsSource(MemoryBlob(save(arrays), name="memory")) as source:
        filed = take_fingerprint(source)
    assert filed.version == fingerprint({name: ("F32", values) for name, values in arrays.items()}).version


def test_numbered_experts_of_a_large_mixture_are_stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.fingerprint.taking.MANY_TENSORS", 4)
    parts = {f"model.layers.0.mlp.experts.{e}.up_proj.weight": noise(e, (6, 4)) for e in range(12)}
    fused = np.stack([parts[f"model.layers.0.mlp.experts.{e}.up_proj.weight"][1] for e in range(12)])
    stacked = fingerprint(parts)
    assert [(t.role, t.shape) for t in stacked.tensors] == [("layers.0.mlp.experts.up.weight", (12, 6, 4))]
    np.testing.assert_array_equal(stacked.tensors[0].block, fused.reshape(12, 24))


def test_progress_adds_up_to_the_bytes_that_were_read() -> None:
    seen: list[int] = []
    fingerprint(model(), progress=seen.append)
    assert sum(seen) == sum(values.nbytes for _, values in model().values())


def test_no_tensor_is_an_error_and_so_is_a_source_that_gives_too_few_values() -> None:
    with pytest.raises(InputError, match="no weights"):
        fingerprint({})

    class Short(ArraySource):
        def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
            return super().read(tensor, start, stop - 1)

    with pytest.raises(FormatError, match="gave 11 of 12 values"):
        take_fingerprint(Short({"a": noise(0, (3, 4))}))


def test_the_fingerprint_of_a_fixed_checkpoint_never_changes() -> None:
    # Integers and exact fractions from a formula, so that no library's random numbers or rounding enter.
    def values(shape: tuple[int, ...], step: int) -> NDArray[np.float32]:
        index = np.arange(int(np.prod(shape)), dtype=np.int64) * step % 2003 - 1001
        return (index.astype(np.float32) / np.float32(4096)).reshape(shape)

    arrays: dict[str, tuple[str, NDArray[np.generic]]] = {
        "model.embed_tokens.weight": ("F32", values((1500, 40), 7)),
        "model.layers.0.self_attn.q_proj.weight": ("F32", values((300, 310), 11)),
        "model.layers.0.mlp.down_proj.weight": ("BF16", (values((290, 400), 13).view(np.uint32) >> 16).astype("<u2")),
        "model.layers.0.mlp.up_proj.weight": ("F16", values((400, 290), 17).astype("<f2")),
        "model.layers.0.mlp.gate_proj.weight": ("F64", values((300, 300), 19).astype("<f8") / 3),
        "model.norm.weight": ("F8_E4M3", np.arange(256, dtype=np.uint8)),
    }
    found = fingerprint(arrays, plan=BlockPlan(budget=100_000))
    assert found.version == GOLDEN_VERSION
    # Of a known architecture, format 3 says what format 2 said; only unknown ones are sampled otherwise.
    assert (found.architecture, found.format) == ("llama", 3)
    assert hashlib.sha256(to_bytes(replace(found, format=2))).hexdigest() == GOLDEN_FILE


def test_networks_of_unknown_architecture_are_sampled_alike_whatever_their_names_and_axes() -> None:
    values = noise(0, (900, 700))[1]
    one = fingerprint({"trunk.3.up": ("F32", values), "other": noise(1, (600, 500))})
    two = fingerprint({"net/part_3/kernel": ("F32", np.ascontiguousarray(values.T))})
    assert not one.architecture
    (other, tensor), (turned,) = one.tensors, two.tensors
    np.testing.assert_array_equal(tensor.rows, turned.columns)
    np.testing.assert_array_equal(tensor.columns, turned.rows)
    np.testing.assert_array_equal(tensor.block, turned.block.T)
    # Samples are nested over tensors too: of the indices below 500 the same ones come first.
    assert {row for row in tensor.rows.tolist() if row < 600} <= set(other.rows.tolist())


def test_a_processor_without_wide_vectors_gives_the_same_bits(tmp_path: Path) -> None:
    name = test_the_fingerprint_of_a_fixed_checkpoint_never_changes.__name__
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{name}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Two values of 32 bits and an odd one out, in pieces and patches that mix the ordinary with the rare.
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(RARE), min_size=1, max_size=40),
    st.integers(1, 9000),
    st.integers(0, 2**32 - 1),
    st.sampled_from([-1, 0, 1]),
)
def test_rare_values_among_many_are_seen(rare: list[int], size: int, seed: int, sign: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(size).astype(np.float32)
    values = np.abs(values) * np.float32(sign) if sign else values
    places = generator.integers(0, size, len(rare))
    values.view(np.uint32)[places] = rare
    found = one("F32", values)
    finite = values[np.isfinite(values)]
    assert found.nonfinite == size - finite.size
    assert found.zeros == np.count_nonzero(values == 0)
    if finite.size:
        assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    bits = values.view(np.uint32)
    assert found.bf16_exact == np.count_nonzero(np.isfinite(values) & (bits & np.uint32(0xFFFF) == 0))
    normal = np.isfinite(values) & (np.abs(values) >= np.finfo(np.float32).tiny)
    used = int(np.bitwise_or.reduce(bits[normal] & np.uint32(0x7FFFFF), initial=np.uint32(0)))
    assert found.mantissa_bits == (23 - ((used & -used).bit_length() - 1) if used else 0)


GOLDEN_VERSION = "ba376af31119f58cc56474abc8cd5e0fb238f879"
GOLDEN_FILE = "fa751e4abba46b8c14b0138979d24a54bcf6143a705522c0986646383a933a06"
