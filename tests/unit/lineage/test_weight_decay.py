"""The decay of weights: read where nothing is learned, taken out of distances, and a clock."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.family_decays import FamilyDecays
from lineage.inference import infer
from lineage.link_weights import measured, undecayed
from lineage.measured_roles import measured_roles
from lineage.weight_decay import Decay, Readings, decays, pooled
from tests.unit.lineage.networks import Weights, network

Take = Callable[[dict[str, np.ndarray]], Fingerprint]

Stack = NDArray[np.float64]


def matrices(seed: int, shape: tuple[int, int], *, count: int = 3) -> Stack:
    return np.random.default_rng(seed).standard_normal((count, *shape)) / 10


def learned(weights: Stack, seed: int, *, decay: float, noise: float, rank: int = 4) -> Stack:
    """What training leaves: all weights smaller by one factor, a change of low rank, and noise."""
    generator = np.random.default_rng(seed)
    count, rows, columns = weights.shape
    left, right = generator.standard_normal((count, rows, rank)), generator.standard_normal((count, rank, columns))
    return np.exp(-decay) * weights + 0.01 * left @ right + noise * generator.standard_normal(weights.shape)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 2e-2), st.sampled_from([1e-7, 1e-6]), st.booleans())
def test_decay_is_told_to_within_its_error(seed: int, decay: float, noise: float, tall: bool) -> None:
    first = matrices(seed, (80, 32) if tall else (32, 48))
    found = decays(first, learned(first, seed + 1, decay=decay, noise=noise), steps=8)
    common, _ = pooled(found)
    assert common.value == pytest.approx(decay, abs=6 * common.error + 2 * common.slack + 0.01 * decay)
    assert common.score > 3


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-5, 2e-2), st.sampled_from([1e-5, 1e-4, 1e-3]))
def test_decay_that_noise_drowns_is_drawn_to_none_and_not_turned_round(seed: int, decay: float, noise: float) -> None:
    first = matrices(seed, (32, 48))
    common, _ = pooled(decays(first, learned(first, seed + 1, decay=decay, noise=noise)))
    most = 6 * common.error + 2 * common.slack + 0.05 * decay
    assert -most <= common.value <= decay + most


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.01, 0.01))
def test_the_other_way_round_the_sign_turns(seed: int, decay: float) -> None:
    first = matrices(seed, (24, 40))
    second = learned(first, seed + 1, decay=decay, noise=1e-4)
    forth, back = decays(first, second), decays(second, first)
    np.testing.assert_allclose(forth.values, -back.values, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(forth.errors, back.errors, rtol=1e-6)
    turned = decays(first.transpose(0, 2, 1), second.transpose(0, 2, 1))
    np.testing.assert_allclose(forth.values, turned.values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("noise", [1e-5, 1e-3, 1e-2])
def test_noise_alone_is_no_decay(noise: float) -> None:
    for seed in range(10):
        first = matrices(seed, (32, 64), count=8)
        second = learned(first, seed + 100, decay=0.0, noise=noise)
        for steps in (0, 5):
            common, _ = pooled(decays(first, second, steps=steps))
            assert abs(common.score) < 4


def test_nothing_read_is_unknown() -> None:
    nothing, _ = pooled(Readings(values=np.array([np.nan]), errors=np.array([np.inf]), slacks=np.zeros(1)))
    assert nothing.score == 0
    empty = decays(np.zeros((1, 8, 8)), np.zeros((1, 8, 8)))
    assert pooled(empty)[0].score == 0


@given(st.floats(-1, 1), st.floats(1e-9, 1), st.floats(0, 1))
def test_a_decay_read_backwards_has_the_opposite_score(value: float, error: float, slack: float) -> None:
    decay = Decay(value=value, error=error, slack=slack)
    assert decay.reversed().score == -decay.score
    assert decay.score * value >= 0


@pytest.mark.parametrize("size", [1e-38, 1.0, 3e38])
def test_no_values_are_too_large_or_too_small_to_be_read(taken: Take, size: float) -> None:
    root = {name: np.clip(size * values, -3e38, 3e38).astype(np.float32) for name, values in network(0).items()}
    members = [
        root,
        {name: values / 2 for name, values in root.items()},
        {name: -values for name, values in root.items()},
    ]
    family = [taken(values) for values in members]
    roles = measured_roles(family)
    read = FamilyDecays(family, roles)
    pairs, names = [(0, 1), (0, 2), (1, 2)], sorted(roles)
    found = undecayed(family, pairs, names, measured(family, pairs, names), read.factors([(0, 1), (1, 2)]))
    assert np.isfinite(found.tail).all()
    assert np.isfinite([read.between(pair).score for pair in pairs]).all()


def tuned(weights: Weights, seed: int, *, decay: float, noise: float = 1e-6, frozen: tuple[str, ...] = ()) -> Weights:
    """Plain gradient descent: hardly any noise, so that decay is nearly all there is in the quiet directions."""
    found = dict(weights)
    for place, (name, values) in enumerate(sorted(weights.items())):
        if values.ndim == 2 and not any(part in name for part in frozen):
            stack = values.astype(np.float64)[None]
            found[name] = learned(stack, 1000 * seed + place, decay=decay, noise=noise)[0].astype(np.float32)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_siblings_that_decayed_alike_hang_from_their_parent(taken: Take, seed: int) -> None:
    root = network(seed)
    one, two = tuned(root, seed + 1, decay=0.003), tuned(root, seed + 2, decay=0.0025)
    weights = {"root": root, "one": one, "two": two, "below": tuned(two, seed + 3, decay=0.002)}
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    parents = {named[item.child]: named[item.parents[0].id] for item in found.derivations}
    assert parents == {"one": "root", "two": "root", "below": "two"}
    assert all("decay" in {cue.kind for cue in item.observations} for item in found.derivations)


def test_factors_undo_the_decay_along_a_tree_and_leave_frozen_matrices_alone(taken: Take) -> None:
    root = network(0)
    frozen = ("layers.0.",)
    one = tuned(root, 1, decay=0.004)
    two = tuned(one, 2, decay=0.003, frozen=frozen)
    family = [taken(values) for values in (root, one, two)]
    roles = measured_roles(family)
    factors = FamilyDecays(family, roles).factors([(0, 1), (1, 2)])
    for role in roles:
        steps = np.log(factors[role][1:] / factors[role][:-1])
        np.testing.assert_allclose(steps, [0.004, 0.0 if "layers.0." in role else 0.003], rtol=0.02, atol=1e-6)
    names = sorted(roles)
    plain = measured(family, [(0, 1), (0, 2), (1, 2)], names)
    without = undecayed(family, [(0, 1), (0, 2), (1, 2)], names, plain, factors)
    assert (without.tail <= plain.tail).all()
    assert np.nanmedian(without.tail[0] / plain.tail[0]) < 0.01
    np.testing.assert_array_equal(without.frobenius, plain.frobenius)


def test_the_order_of_ends_turns_a_family_s_reading(taken: Take) -> None:
    root = network(3)
    family = [taken(values) for values in (root, tuned(root, 1, decay=0.002))]
    roles = measured_roles(family)
    forth, back = FamilyDecays(family, roles).between((0, 1)), FamilyDecays(family[::-1], roles).between((0, 1))
    assert forth.score > 10
    assert back.value == pytest.approx(-forth.value, rel=1e-6)
