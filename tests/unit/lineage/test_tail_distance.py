"""Tail distance: its algebra, and what it is for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.tail_distance import QuietBasis, tail_energy


def noise(seed: int, shape: tuple[int, int] = (12, 9)) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@given(st.integers(0, 2**32 - 1))
def test_the_whole_spectrum_is_the_frobenius_norm(seed: int) -> None:
    delta = noise(seed)
    assert tail_energy(delta, share=1) == pytest.approx(np.sum(delta**2))


@given(st.integers(0, 2**32 - 1))
def test_neither_sign_nor_orientation_matters(seed: int) -> None:
    delta = noise(seed)
    assert tail_energy(delta) == pytest.approx(tail_energy(-delta)) == pytest.approx(tail_energy(delta.T))


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_a_strong_shared_direction_leaves_the_tail_nearly_alone(seed: int, strength: float) -> None:
    delta = noise(seed)
    shared = strength * np.outer(noise(seed + 1, (12, 1)), noise(seed + 2, (9, 1)))
    assert tail_energy(delta + shared) <= tail_energy(delta, share=0.5)


@given(st.integers(0, 2**32 - 1))
def test_the_quiet_projection_is_linear(seed: int) -> None:
    basis = QuietBasis.of([noise(seed), noise(seed + 1)])
    a, b = noise(seed + 2), noise(seed + 3)
    np.testing.assert_allclose(basis.project(a) - basis.project(b), basis.project(a - b), atol=1e-9)


def test_the_quiet_projection_drops_what_every_change_shares() -> None:
    shared = np.outer(noise(0, (12, 1)), noise(1, (9, 1)))
    basis = QuietBasis.of(100 * shared + noise(seed) for seed in range(2, 8))
    assert np.sum(basis.project(shared) ** 2) < 0.01 * np.sum(shared**2)


@pytest.mark.parametrize("delta", [np.zeros(3), np.array([[np.nan]])])
def test_what_is_no_finite_matrix_is_refused(delta: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite matrix"):
        tail_energy(delta)


def test_a_family_in_which_nothing_moved_has_no_basis() -> None:
    with pytest.raises(ValueError, match="no change"):
        QuietBasis.of([np.zeros((4, 4))])
