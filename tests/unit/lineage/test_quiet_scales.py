"""Scales read where training leaves the weights alone: between two versions, and in a family."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lineage.symmetry.aligning import Network, aligned, mapped_matrices
from lineage.symmetry.balancing import gauging
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.quiet_scales import FARTHER, quiet_scales
from lineage.symmetry.quieting import quieted
from lineage.tail_distance import tail_energy
from tests.unit.lineage.symmetric_networks import network

NEAR = 0.15
SCALED = ["llama", "gpt2", "bert", "vit", "resnet", "t5"]


def learned(parent: Network, seed: int, *, noise: float = 1e-5, rank: int = 2) -> Network:
    """A change of few directions, as large as a fifth of the weights, and noise that is far smaller."""
    generator = np.random.default_rng(seed)

    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rows, columns = values.shape
        signal = generator.standard_normal((rows, rank)) @ generator.standard_normal((rank, columns))
        return values + 0.01 * signal + noise * generator.standard_normal(values.shape)

    return replace(parent, matrices={role: moved(values) for role, values in parent.matrices.items()})


def rescaled(version: Network, seed: int, *, size: float = NEAR) -> Network:
    generator = np.random.default_rng(seed)
    maps = []
    for coupling in version.symmetries.all:
        if coupling.scalable:
            units = coupling.candidates[-1]
            scale = np.exp(generator.uniform(-size, size, units))
            maps.append(UnitMap(coupling=coupling, units=units, order=np.arange(units), scale=scale))
    return replace(version, matrices=mapped_matrices(version.matrices, maps))


def mapped(version: Network, maps: list[UnitMap]) -> Network:
    return replace(version, matrices=mapped_matrices(version.matrices, maps))


def tails(one: Network, two: Network) -> NDArray[np.float64]:
    """Tails of those matrices that bear scales."""
    roles = {slot.role for item in one.symmetries.all for slot in item.slots if slot.power}
    found = [one.matrices[role] - two.matrices[role] for role in sorted(roles) if min(one.matrices[role].shape) > 1]
    return np.array([tail_energy(item) for item in found])


@pytest.mark.parametrize("architecture", SCALED)
def test_tails_are_what_they_were_before_the_rescaling(architecture: str) -> None:
    root = network(architecture, 1)
    tuned = learned(root, 2)
    moved = rescaled(tuned, 3)
    couplings = [item for item in moved.symmetries.all if item.scalable]
    quiet = mapped(moved, quiet_scales([root.matrices], moved.matrices, couplings))
    sliced = mapped(moved, gauging(root, moved))
    true = tails(root, tuned)
    assert np.all(np.abs(np.log(tails(root, quiet) / true)) < np.log(1.5))
    assert np.median(tails(root, sliced) / true) > 10


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_what_only_has_a_low_rank_change_comes_back_as_it_was(seed: int, rank: int) -> None:
    root = network("gpt2", 1)
    tuned = learned(root, seed, noise=0.0, rank=rank)
    moved = rescaled(tuned, seed + 1)
    couplings = [item for item in moved.symmetries.all if item.scalable]
    quiet = mapped(moved, quiet_scales([root.matrices], moved.matrices, couplings))
    for role in ("layers.0.mlp.up.weight", "layers.1.attention.query_key_value.weight"):
        change, true = quiet.matrices[role] - root.matrices[role], tuned.matrices[role] - root.matrices[role]
        assert np.linalg.norm(change - true) < 1e-3 * np.linalg.norm(true)


def test_what_is_equal_is_left_alone_and_so_is_what_is_known() -> None:
    root = network("llama", 1)
    couplings = [item for item in root.symmetries.all if item.scalable]
    assert quiet_scales([root.matrices], root.matrices, couplings) == []
    moved = rescaled(learned(root, 2), 3)
    known = {couplings[0]: np.arange(couplings[0].candidates[-1]) % 2 == 0}
    found = {item.coupling: item.scale for item in quiet_scales([root.matrices], moved.matrices, couplings, known)}
    scale = found[couplings[0]]
    assert scale is not None
    assert (scale[::2] == 1).all()
    assert (scale[1::2] != 1).all()


def test_too_many_scales_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = network("llama", 1)
    moved = rescaled(learned(root, 2), 3)
    monkeypatch.setattr("lineage.symmetry.quiet_scales.MOST_SCALES", 10)
    assert quiet_scales([root.matrices], moved.matrices, list(moved.symmetries.all)) == []


def test_a_search_that_goes_astray_changes_nothing() -> None:
    one, two = network("llama", 1), network("llama", 2)
    found = mapped(two, quiet_scales([one.matrices], two.matrices, list(two.symmetries.all)))

    def apart(version: Network) -> float:
        return float(sum(np.sum((item - one.matrices[role]) ** 2) for role, item in version.matrices.items()))

    assert apart(found) <= FARTHER * apart(two)


def test_zero_weights_and_dead_units_tell_nothing() -> None:
    root = network("llama", 1)
    moved = rescaled(learned(root, 2), 3)
    empty = {role: np.zeros_like(values) for role, values in moved.matrices.items()}
    couplings = [item for item in moved.symmetries.all if item.scalable]
    assert quiet_scales([root.matrices], empty, couplings) == []
    first = next(item for item in couplings if item.permutable)
    for slot in first.slots:
        axis = (slice(None), 3) if slot.axis else (3, slice(None))
        moved.matrices[slot.role][axis] = 0.0  # type: ignore[index]
    found = {item.coupling: item.scale for item in quiet_scales([root.matrices], moved.matrices, couplings)}
    scale = found[first]
    assert scale is not None
    assert np.isfinite(scale).all()
    assert scale[3] == 1


@pytest.mark.parametrize("fixed", [False, True])
def test_a_family_comes_to_one_set_of_scales(fixed: bool) -> None:
    root = network("llama", 1)
    plain = [root, learned(root, 2), learned(root, 3)]
    plain += [learned(plain[1], 4), learned(plain[2], 5)]
    moved = {number: rescaled(item, 10 + number) if number else item for number, item in enumerate(plain)}
    if fixed:
        moved[2] = plain[2]
    free = {1, 3, 4} if fixed else set(moved)
    found = quieted(moved, free, {})
    assert not found.keys() - free
    after = [mapped(item, found.get(number, [])) for number, item in moved.items()]
    for one, two in ((0, 1), (1, 3), (2, 4), (3, 4), (0, 2)):
        assert np.all(np.abs(np.log(tails(after[one], after[two]) / tails(plain[one], plain[two]))) < np.log(2.5))


def test_what_is_exact_stays_exact() -> None:
    root = network("llama", 1)
    tuned = learned(root, 2)
    moved = rescaled(tuned, 4)
    pruned = {role: np.where(np.abs(item) > 0.02, item, 0.0) for role, item in moved.matrices.items()}
    scales = rescaled(replace(tuned, matrices=pruned), 5)
    found = quieted({0: root, 1: moved, 2: scales, 3: moved}, {1, 2, 3}, {3: 1})
    one, two, same = (mapped(item, found[member]) for member, item in ((1, moved), (2, scales), (3, moved)))
    for role, values in two.matrices.items():
        left = values != 0
        np.testing.assert_allclose(values[left], one.matrices[role][left], rtol=1e-4)
        np.testing.assert_array_equal(same.matrices[role], one.matrices[role])


def test_a_version_placed_by_least_squares_is_brought_back() -> None:
    root = network("llama", 1)
    tuned = learned(root, 2)
    moved = rescaled(tuned, 3, size=0.7)
    placed = mapped(moved, list(aligned(root, moved).maps))
    couplings = [item for item in placed.symmetries.all if item.scalable]
    quiet = mapped(placed, quiet_scales([root.matrices], placed.matrices, couplings))
    assert np.median(tails(root, placed) / tails(root, tuned)) > 3
    assert np.median(tails(root, quiet) / tails(root, tuned)) < 1.5
