"""Merges of which a part, or the base, has to do with another merge; and samples of tensors that differ elsewhere."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from lineage.inference import infer
from lineage.rules.elementwise import elementwise_fit
from lineage.rules.spherical import spherical_fit
from tests.unit.lineage.networks import Weights, mixed, network, trained

Take = Callable[[Mapping[str, np.ndarray]], Fingerprint]
SIZE = 4000
PARTS = [slice(0, SIZE // 2), slice(SIZE // 2, SIZE)]


def chosen(base: Weights, one: Weights, two: Weights, density: float = 0.4) -> Weights:
    """TIES with equal weights (Yadav et al. 2023)."""
    found: Weights = {}
    for name, start in base.items():
        steps = np.stack([item[name] - start for item in (one, two)])
        bounds = np.quantile(np.abs(steps), 1 - density, axis=tuple(range(1, steps.ndim)), keepdims=True)
        steps = np.where(np.abs(steps) >= bounds, steps, 0)
        agree = (np.sign(steps) == np.sign(steps.sum(axis=0))) & (steps != 0)
        total = (steps * agree).sum(axis=0) / np.maximum(agree.sum(axis=0), 1)
        found[name] = (start + total).astype(np.float32)
    return found


def parents_of(taken: Take, weights: Mapping[str, Weights], child: str) -> set[str]:
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    return {named[parent.id] for item in found.derivations if named[item.child] == child for parent in item.parents}


@pytest.fixture(scope="module")
def kin() -> dict[str, Weights]:
    root = network(0)
    return {"root": root} | {name: trained(root, seed) for name, seed in (("one", 1), ("two", 2), ("three", 3))}


def test_what_was_mixed_from_a_choice_value_by_value_is_no_part_of_it(taken: Take, kin: dict[str, Weights]) -> None:
    ties = chosen(kin["root"], kin["one"], kin["two"])
    # With the one, and but for a constant, it gives every value of the merge that the two gives.
    later = mixed((0.195, kin["root"]), (0.5, ties), (0.305, kin["two"]))
    weights = {**kin, "ties": ties, "later": later}
    assert parents_of(taken, weights, "ties") == {"root", "one", "two"}
    assert parents_of(taken, weights, "later") == {"root", "ties", "two"}


def test_what_was_mixed_from_a_sum_of_task_vectors_is_no_part_of_it(taken: Take, kin: dict[str, Weights]) -> None:
    parts = [(0.779, kin["one"]), (0.813, kin["two"]), (0.424, kin["three"])]
    summed = mixed((-1.016, kin["root"]), *parts)
    weights = {**kin, "summed": summed, "mean": mixed((0.456, summed), (0.544, kin["three"]))}
    assert parents_of(taken, weights, "summed") == {"root", "one", "two", "three"}
    assert parents_of(taken, weights, "mean") == {"summed", "three"}


def vectors(seed: int, count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    base = generator.standard_normal(SIZE)
    return [base, *(base + 0.2 * generator.standard_normal(SIZE) for _ in range(count))]


@given(st.integers(0, 200))
def test_two_that_are_multiples_of_each_other_in_many_tensors_are_told_apart_by_the_rest(seed: int) -> None:
    base, one, two = vectors(seed, 2)
    two[PARTS[0]] = (base + 0.35 * (one - base))[PARTS[0]]
    choice = np.random.default_rng(seed).integers(0, 4, SIZE)
    # Where one is a multiple of the other both are large in the same places: none is chosen by itself.
    choice[PARTS[0]] = np.where(choice[PARTS[0]] < 2, 0, 3)
    child = np.choose(choice, [base, one, two, (one + two) / 2])
    fit = elementwise_fit(child, np.stack([one, two, base]), PARTS)
    assert fit is not None
    assert (fit.base, set(fit.members), fit.method) == (2, {0, 1}, "ties")
    assert fit.scales == pytest.approx((1.0, 1.0), abs=1e-6)


@given(st.integers(0, 200))
def test_a_choice_between_a_version_and_one_stitched_from_it_is_none_of_its_other_part(seed: int) -> None:
    base, one, two = vectors(seed, 2)
    stitched = np.concatenate([one[PARTS[0]], two[PARTS[1]]])
    choice = np.random.default_rng(seed).integers(0, 4, SIZE)
    child = np.choose(choice, [base, one, stitched, (one + stitched) / 2])
    for order in ([one, two, stitched, base], [one, stitched, two, base]):
        fit = elementwise_fit(child, np.stack(order), PARTS)
        assert fit is not None
        assert {id(order[place]) for place in fit.members} == {id(one), id(stitched)}


@given(st.integers(0, 200), st.floats(0.2, 0.8))
def test_a_mean_is_no_choice_from_what_was_chosen_from_it(seed: int, weight: float) -> None:
    base, one, two = vectors(seed, 2)
    two[: SIZE // 3] = base[: SIZE // 3]
    mean = weight * one + (1 - weight) * two
    choice = np.random.default_rng(seed).integers(0, 3, SIZE)
    later = np.choose(choice, [base, mean, one])
    edited = mean.copy()
    edited[-40:] += 0.1
    assert elementwise_fit(edited, np.stack([one, two, later]), [slice(0, SIZE)]) is None


@given(st.integers(0, 200), st.floats(0.1, 0.9), st.floats(0.02, 0.6))
def test_an_arc_stretches_the_sample_in_which_two_are_equal(seed: int, share: float, angle: float) -> None:
    generator = np.random.default_rng(seed)
    whole = generator.standard_normal((2, SIZE))
    moved = whole[0] + 0.3 * generator.standard_normal(SIZE)
    # Of the second tensor, rows that training left alone are the sample, and the angle is that of the others.
    stretch = (np.sin((1 - share) * angle) + np.sin(share * angle)) / np.sin(angle)
    own = float(np.arccos(whole[0] @ moved / np.linalg.norm(whole[0]) / np.linalg.norm(moved)))
    between = (np.sin((1 - share) * own) * whole[0] + np.sin(share * own) * moved) / np.sin(own)
    one, two = np.concatenate([whole[0], whole[1]]), np.concatenate([moved, whole[1]])
    segments = [slice(0, SIZE), slice(SIZE, 2 * SIZE)]
    child = np.concatenate([between, stretch * whole[1]])
    fit = spherical_fit(child, np.stack([one, two]), segments)
    assert fit is not None
    assert fit.share == pytest.approx(share, abs=1e-4)
    # No arc shrinks what is equal, and none moves it to the side.
    for other in (0.99 * whole[1], whole[1] + 0.01 * generator.standard_normal(SIZE)):
        assert spherical_fit(np.concatenate([between, other]), np.stack([one, two]), segments) is None


@given(st.integers(0, 200), st.floats(0.1, 0.9))
def test_between_a_version_and_what_was_stitched_from_it_there_is_one_share(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.standard_normal((2, SIZE)).astype(np.float32)
    stitched = np.concatenate([first[PARTS[0]], second[PARTS[1]]])
    child = ((1 - share) * first + share * stitched).astype(np.float32)
    candidates = np.stack([first, second, stitched]).astype(np.float64)
    fit = spherical_fit(child.astype(np.float64), candidates, PARTS)
    assert fit is not None
    assert fit.spread < 0.01
    assert fit.members == (0, 2)
