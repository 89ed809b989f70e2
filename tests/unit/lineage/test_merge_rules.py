"""Merges: formulas are found through the rounding of 16 bits, and what only looks like one is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.family_vectors import SharedVectors
from lineage.merges import _affine, _repeats
from lineage.rules.elementwise import elementwise_fit
from lineage.rules.merge import Merge
from lineage.rules.merging import affine_fit
from lineage.rules.quantization import to_bf16

SIZE = 4000


def relatives(seed: int, count: int = 4, step: float = 0.2) -> np.ndarray:
    """Versions some steps away from a common base, the base last."""
    generator = np.random.default_rng(seed)
    base = generator.standard_normal(SIZE)
    return np.stack([*(base + step * generator.standard_normal(SIZE) for _ in range(count)), base])


def rounding(values: np.ndarray) -> float:
    _, exponents = np.frexp(values)
    return float(np.square(np.ldexp(1.0, exponents - 8)).sum() / 12)


@given(seed=st.integers(0, 1000), weight=st.floats(0.1, 0.9))
def test_a_mean_stored_in_16_bits_is_found_with_its_weights(seed: int, weight: float) -> None:
    others = to_bf16(relatives(seed))
    child = to_bf16(weight * others[0] + (1 - weight) * others[2])
    fit = affine_fit(child, others, rounding=rounding(child))
    assert fit is not None
    assert dict(zip(fit.members, fit.weights, strict=True)) == pytest.approx({0: weight, 2: 1 - weight}, abs=0.01)


@given(seed=st.integers(0, 1000))
def test_a_trained_version_in_16_bits_is_no_mean(seed: int) -> None:
    others = to_bf16(relatives(seed))
    child = to_bf16(others[0] + 0.1 * np.random.default_rng(seed + 5000).standard_normal(SIZE))
    assert affine_fit(child, others, rounding=rounding(child)) is None


@given(seed=st.integers(0, 1000))
def test_a_copy_that_differs_by_rounding_alone_is_no_mean(seed: int) -> None:
    others = relatives(seed)
    child = to_bf16(others[0])
    assert affine_fit(child, others, rounding=rounding(child)) is None


@given(seed=st.integers(0, 300), left=st.floats(0.002, 0.015))
def test_what_is_left_of_a_base_is_a_weight_however_small(seed: int, left: float) -> None:
    one, two, _, _, base = others = relatives(seed)
    child = 0.615 * one + (0.385 + left) * two - left * base
    fit = affine_fit(child, others, convex=False)
    assert fit is not None
    assert dict(zip(fit.members, fit.weights, strict=True)) == pytest.approx(
        {0: 0.615, 1: 0.385 + left, 4: -left}, abs=1e-6
    )


@given(seed=st.integers(0, 300))
def test_a_mean_whose_constituent_went_into_another_merge_has_two_constituents(seed: int) -> None:
    one, two, _, _, base = relatives(seed)
    mean = 0.497 * one + 0.503 * two
    other = base + 0.41 * (two - base) + 0.837 * (mean - base)
    fit = affine_fit(mean, np.stack([one, other, base, two]), convex=False)
    assert fit is not None
    assert dict(zip(fit.members, fit.weights, strict=True)) == pytest.approx({0: 0.497, 3: 0.503}, abs=1e-6)


@given(seed=st.integers(0, 1000))
def test_two_that_were_rounded_apart_are_one_and_a_step_more_is_not(seed: int) -> None:
    source, *others = relatives(seed)
    noise = 0.002 * np.random.default_rng((seed, 1)).standard_normal(SIZE)
    for moved, same in ((0.0, True), (10.0, False)):
        child = to_bf16(source * (1 + moved * noise))
        values = np.stack([child, to_bf16(source * (1 + 1e-4 * noise)), *others])
        steps = np.ldexp(1.0, np.frexp(child)[1] - 8)
        assert _repeats(SharedVectors(values=values, steps=steps, segments=(slice(0, SIZE),))) is same


def segments(parts: int) -> list[slice]:
    return [slice(SIZE * part // parts, SIZE * (part + 1) // parts) for part in range(parts)]


def test_values_chosen_one_by_one_are_found() -> None:
    *tuned, base = relatives(1, 2)
    choice = np.random.default_rng(2).integers(0, 4, SIZE)
    child = np.choose(choice, [base, *tuned, (tuned[0] + tuned[1]) / 2])
    fit = elementwise_fit(child, np.stack([*tuned, base]), segments(4))
    assert fit is not None
    assert (fit.base, set(fit.members)) == (2, {0, 1})


def test_frozen_tensors_make_no_choice() -> None:
    *tuned, base = relatives(3, 3)
    parts = segments(4)
    child, near = tuned[0], tuned[1].copy()
    for part in parts[:2]:  # one relative is the child's in half of the tensors, another in the other half
        near[part] = child[part]
    far = tuned[2].copy()
    for part in parts[2:]:
        far[part] = child[part]
    assert elementwise_fit(child, np.stack([near, far, base]), parts) is None


@given(seed=st.integers(0, 200))
def test_constituents_whose_values_stand_in_one_ratio_show_no_choice(seed: int) -> None:
    tuned, base = relatives(seed, 1)
    generator = np.random.default_rng(seed)
    half = generator.random(SIZE) < 0.5
    # A third version went half of the way in half of the values, and another way in the rest.
    third = np.where(half, (tuned + base) / 2, base + 0.2 * generator.standard_normal(SIZE))
    child = np.where(half, base + 2 * (tuned - base), base)
    assert elementwise_fit(child, np.stack([tuned, third, base]), segments(4)) is None


@pytest.mark.parametrize("weights", [(0.69, 0.732, 0.59), (0.3, 0.5), (0.9, 0.8, 0.7), (0.384, 0.696)])
def test_of_collinear_versions_the_one_with_typed_weights_is_the_merge(weights: tuple[float, ...]) -> None:
    *tuned, base = relatives(7, len(weights))
    merge = base + sum(weight * (item - base) for weight, item in zip(weights, tuned, strict=True))
    others = [*tuned, base]
    everything = [*others, merge]

    def found(child: int) -> Merge | None:
        rest = [place for place in range(len(everything)) if place != child]
        shared = SharedVectors(
            values=np.stack([everything[child], *(everything[place] for place in rest)]),
            steps=np.zeros(SIZE),
            segments=(slice(0, SIZE),),
        )
        return _affine(shared, rest, [float(np.sum(item**2)) for item in everything], child)

    own = found(len(everything) - 1)
    assert own is not None
    given_weights = dict(zip(own.members, own.weights, strict=True))
    assert {place: round(given_weights[place] or 0.0, 6) for place in range(len(weights))} == dict(enumerate(weights))
    if sum(weights) > 1:
        assert own.roles[own.members.index(len(weights))] == "base"
        assert all(found(child) is None for child in range(len(others)))


@given(st.integers(0, 500), st.permutations(range(9)))
def test_the_shorter_of_two_exact_combinations_is_found(seed: int, order: list[int]) -> None:
    generator = np.random.default_rng(seed)
    root = generator.standard_normal(400)
    a, b, c, *others = (root + 0.3 * generator.standard_normal(400) for _ in range(7))
    child = 0.219 * a + 0.566 * b + 0.215 * c
    later = 0.7 * a + 0.723 * child - 0.423 * root
    candidates = [a, b, c, root, later, *others]
    fit = affine_fit(child, np.array([candidates[place] for place in order]), convex=False)
    assert fit is not None
    assert {order[place] for place in fit.members} == {0, 1, 2}
    assert sorted(fit.weights) == pytest.approx([0.215, 0.219, 0.566])
