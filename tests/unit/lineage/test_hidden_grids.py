"""Copies that were quantised before they were rescaled: no grid shows, and the noise of the rounding is left."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.family_vectors import FamilyVectors
from lineage.hidden_copies import hidden_copies
from lineage.inference import infer
from lineage.rules.comparison import Comparison
from lineage.rules.hidden_grid import rounded
from lineage.rules.quantization import to_bf16
from tests.unit.lineage.networks import Weights, network
from tests.unit.lineage.symmetric_networks import laundered, names
from tests.unit.lineage.symmetric_networks import network as symmetric

Matrix = NDArray[np.float64]


def int8(matrix: Matrix) -> Matrix:
    step = np.abs(matrix).max(axis=1, keepdims=True) / 127
    return np.round(matrix / step) * step


def int4(matrix: Matrix) -> Matrix:
    groups = matrix.reshape(len(matrix), -1, 16)
    step = (groups.max(axis=2, keepdims=True) - groups.min(axis=2, keepdims=True)) / 15
    return (np.round(groups / step) * step).reshape(matrix.shape)


def low_rank(matrix: Matrix) -> Matrix:
    generator = np.random.default_rng(3)
    rows, columns = matrix.shape
    learned = generator.standard_normal((rows, 4)) @ generator.standard_normal((4, columns))
    return matrix + 0.002 * learned + 0.001 * generator.uniform(-1, 1, matrix.shape)


def perturbed(matrix: Matrix) -> Matrix:
    return matrix + 0.002 * np.random.default_rng(4).standard_normal(matrix.shape)


def pruned(matrix: Matrix) -> Matrix:
    return np.where(np.abs(matrix) > 0.01, matrix, 0.0)


def _rescaled(weights: Weights, seed: int, change: Callable[[Matrix], Matrix] = lambda matrix: matrix) -> Weights:
    """Every matrix changed, and then its rows and columns scaled by draws of the seed."""
    generator = np.random.default_rng(seed)
    found: Weights = {}
    for name, values in weights.items():
        if values.ndim == 2:
            rows, columns = (np.exp(generator.uniform(-0.7, 0.7, length)) for length in values.shape)
            values = (change(values.astype(np.float64)) * rows[:, None] * columns).astype(np.float32)
        found[name] = values
    return found


@given(
    seed=st.integers(0, 1000),
    change=st.sampled_from([int8, int4, to_bf16, low_rank, perturbed, pruned]),
    swap=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_rounding_is_told_from_what_is_learned_whatever_the_scales(
    seed: int, change: Callable[[Matrix], Matrix], swap: bool, taken: Callable[..., Fingerprint]
) -> None:
    weights = network(seed % 7)
    source, copy = taken(_rescaled(weights, seed)), taken(_rescaled(weights, seed, change))
    parent, child = (copy, source) if swap else (source, copy)
    answer = rounded(Comparison(parent=parent, child=child))
    if change in (int8, int4, to_bf16):
        assert answer is not None
        assert answer.relation is Relation.QUANTIZED_FROM
        assert not answer.directed
    else:
        assert answer is None


@pytest.mark.parametrize("change", [int8, int4, to_bf16])
@pytest.mark.parametrize("seed", [1])
def test_a_copy_hangs_from_its_source_where_all_were_rescaled(
    change: Callable[[Matrix], Matrix], seed: int, taken: Callable[..., Fingerprint]
) -> None:
    lake = {"root": symmetric("llama", seed)}
    lake |= {str(tune): symmetric("llama", seed, step=0.1, tune=tune) for tune in (1, 2, 3)}
    lake["copy"] = replace(
        lake["2"], matrices={role: change(item) if len(item) > 1 else item for role, item in lake["2"].matrices.items()}
    )
    members = {name: taken(names(laundered(item, 30 + place))) for place, (name, item) in enumerate(lake.items())}
    words = {item.version: name for name, item in members.items()}
    found = infer(list(members.values()), least_confidence=0.0).derivations
    edges = {words[item.child]: (words[item.parents[0].id], item.relation) for item in found}
    assert edges["copy"] == ("2", Relation.QUANTIZED_FROM)


def test_without_a_third_version_it_is_open_which_is_the_copy(taken: Callable[..., Fingerprint]) -> None:
    source = symmetric("llama", 1)
    copy = replace(
        source, matrices={role: int8(item) if len(item) > 1 else item for role, item in source.matrices.items()}
    )
    pair = [taken(names(item)) for item in (source, copy)]
    found = hidden_copies(pair, [[1], [0]], FamilyVectors.of(pair), taken=(), as_given=())
    assert found == []
    third = taken(names(symmetric("llama", 1, step=0.05, tune=3)))
    family = [*pair, third]
    near = [[1, 2], [0, 2], [0, 1]]
    ((parent, child, answer),) = hidden_copies(family, near, FamilyVectors.of(family), taken=(), as_given=())
    assert (parent, child, answer.relation) == (0, 1, Relation.QUANTIZED_FROM)
    assert hidden_copies(family, near, FamilyVectors.of(family), taken=(), as_given=(0, 1, 2)) == []


@pytest.mark.parametrize("size", [1e-38, 1e36])
def test_no_size_of_values_is_too_small_or_too_large(size: float, taken: Callable[..., Fingerprint]) -> None:
    weights = network(0)
    sized = {name: (values * size).astype(np.float32) for name, values in weights.items()}
    copy = {name: (int8(values) if values.ndim == 2 else values).astype(np.float32) for name, values in sized.items()}
    answer = rounded(Comparison(parent=taken(sized), child=taken(copy)))
    assert answer is not None
    assert answer.relation is Relation.QUANTIZED_FROM


def test_a_change_below_all_numbers_beside_its_values_breaks_nothing(taken: Callable[..., Fingerprint]) -> None:
    plain = taken(network(0))

    def ended(value: float) -> Fingerprint:
        tensors = []
        for item in plain.tensors:
            block = item.block.astype(np.float64) * 1e307
            block[-1, -1] = value
            tensors.append(replace(item, dtype="F64", content=f"{item.content} {value}", block=block))
        return replace(plain, tensors=tuple(tensors))

    answer = rounded(Comparison(parent=ended(1e-300), child=ended(2e-300)))
    assert answer is None or answer.relation is Relation.QUANTIZED_FROM
