"""Scales found by what is exact: mixtures, values chosen one by one, and random choices of changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.inference import infer
from lineage.relatedness import kinship
from lineage.symmetry.aligning import Network, mapped_matrices
from lineage.symmetry.dropped_values import join_chosen
from lineage.symmetry.exact_relations import join_exact
from lineage.symmetry.frame import common_frame
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.mixtures import join_mixtures, thinned
from lineage.symmetry.scale_groups import FIXED, ScaleGroups
from lineage.symmetry.settling import settled
from tests.unit.lineage.symmetric_networks import Weights, laundered, names, network

Take = Callable[[Weights], Fingerprint]
Matrices = dict[str, NDArray[np.float64]]

SCALED = ("llama", "gpt2", "vit", "resnet", "t5")
SINGLE = 2e-8


def each(one: Network, formula: Callable[..., NDArray[np.float64]], *others: Network) -> Network:
    """A network of which every matrix is a formula of others', in single precision."""
    matrices = {
        role: formula(values, *(other.matrices[role] for other in others)).astype(np.float32).astype(float)
        for role, values in one.matrices.items()
    }
    return replace(one, matrices=matrices)


def slerp(one: NDArray[np.float64], two: NDArray[np.float64], share: float = 0.4) -> NDArray[np.float64]:
    cosine = np.sum(one * two) / np.linalg.norm(one) / np.linalg.norm(two)
    angle = float(np.arccos(np.clip(cosine, -1, 1)))
    left, right = np.sin((1 - share) * angle) / np.sin(angle), np.sin(share * angle) / np.sin(angle)
    found: NDArray[np.float64] = left * one + right * two
    return found


def chosen(base: Network, one: Network, two: Network, *, density: float = 0.4) -> Network:
    """TIES with equal weights."""

    def formula(b: NDArray[np.float64], *tuned: NDArray[np.float64]) -> NDArray[np.float64]:
        changes = []
        for item in tuned:
            change = item - b
            least = np.quantile(np.abs(change), 1 - density)
            changes.append(np.where(np.abs(change) >= least, change, 0.0))
        elected = np.sign(sum(changes))
        agreeing = [(np.sign(change) == elected) & (change != 0) for change in changes]
        total = np.sum([change * kept for change, kept in zip(changes, agreeing, strict=True)], axis=0)
        found: NDArray[np.float64] = b + total / np.maximum(np.sum(agreeing, axis=0), 1)
        return found

    return each(base, formula, one, two)


def added(base: Network, one: Network, two: Network, seed: int, *, weights: Sequence[float] = (0.54, 0.46)) -> Network:
    """DARE that keeps half."""
    generator = np.random.default_rng(seed)

    def formula(b: NDArray[np.float64], *tuned: NDArray[np.float64]) -> NDArray[np.float64]:
        changes = [2 * weight * (item - b) for weight, item in zip(weights, tuned, strict=True)]
        found: NDArray[np.float64] = b + sum(change * (generator.random(b.shape) < 0.5) for change in changes)
        return found

    return each(base, formula, one, two)


def rescaled(item: Network, seed: int, spread: float) -> tuple[Network, dict[str, NDArray[np.float64]]]:
    """A network with all units scaled, by less than a laundering does, and what undoes it by first role."""
    generator = np.random.default_rng(seed)
    maps, undone = [], {}
    for coupling in item.symmetries.all:
        if coupling.scalable:
            units = coupling.candidates[-1]
            scale = np.exp(spread * generator.standard_normal(units))
            maps.append(UnitMap(coupling=coupling, units=units, order=np.arange(units), scale=scale))
            undone[coupling.slots[0].role] = 1 / scale
    matrices = {
        role: values.astype(np.float32).astype(float) for role, values in mapped_matrices(item.matrices, maps).items()
    }
    return replace(item, matrices=matrices), undone


def family(architecture: str, seed: int = 1, *, step: float = 0.15) -> list[Network]:
    """A root and three fine-tunes, in single precision."""
    return [
        each(network(architecture, seed, step=step, tune=tune) if tune else network(architecture, seed), np.copy)
        for tune in range(4)
    ]


def grouped(
    members: Sequence[Network], seed: int, spread: float
) -> tuple[ScaleGroups, list[dict[str, NDArray[np.float64]]]]:
    """Members of which all but the first were rescaled; the first is the frame of reference."""
    moved = [(members[0], {}), *(rescaled(item, seed + place, spread) for place, item in enumerate(members[1:], 1))]
    groups = ScaleGroups([item for item, _ in moved], [True] + [False] * (len(moved) - 1))
    return groups, [undone for _, undone in moved]


def recovered(groups: ScaleGroups, member: int, undone: Mapping[str, NDArray[np.float64]]) -> float:
    """The worst error of a scale, relative; infinite where a coupling was not told."""
    maps = {item.coupling.slots[0].role: item.scale for item in groups.maps(member, fixed=True)}
    errors = [
        np.inf if maps.get(role) is None else float(np.median(np.abs(maps[role] / scale - 1)))
        for role, scale in undone.items()
    ]
    return max(errors)


@pytest.mark.parametrize("architecture", SCALED)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.2, 0.8))
def test_the_scales_of_a_mixture_and_its_parts_are_found(architecture: str, seed: int, share: float) -> None:
    root, one, two, _ = family(architecture)
    mean = each(one, lambda x, y: share * x + (1 - share) * y, two)
    groups, undone = grouped([mean, one, two, root], seed, 0.01)
    assert join_mixtures(groups, thinned(groups.matrices), [SINGLE] * 4, [1, 2, 3]) == 1
    assert max(recovered(groups, member, undone[member]) for member in (1, 2)) < 1e-3
    left = [
        np.linalg.norm(share * groups.matrices[1][role] + (1 - share) * groups.matrices[2][role] - values)
        / max(np.linalg.norm(groups.matrices[1][role] - values), 1e-12)
        for role, values in mean.matrices.items()
    ]
    assert np.max(left) < 5e-3


def test_a_spherical_merge_has_coefficients_of_its_own_in_every_tensor() -> None:
    root, one, two, _ = family("llama", step=0.4)
    groups, _ = grouped([each(one, slerp, two), one, two, root], 3, 0.02)
    assert join_mixtures(groups, thinned(groups.matrices), [SINGLE] * 4, [1, 2, 3]) == 1


def test_a_part_that_others_could_stand_in_for_is_found() -> None:
    root, one, two, three = family("llama")
    sum_of_both = each(root, lambda base, x, y: x + y - base, one, two)
    mean = each(three, lambda x, y: 0.4 * x + 0.6 * y, sum_of_both)
    members = [mean, root, one, two, three, sum_of_both]
    groups, undone = grouped(members, 3, 0.01)
    vectors = thinned(groups.matrices)
    assert join_mixtures(groups, vectors, [SINGLE] * 6, [1, 2, 3, 4, 5]) == 2
    assert max(recovered(groups, member, undone[member]) for member in range(1, 6)) < 1e-3


@pytest.mark.parametrize("architecture", SCALED)
def test_what_only_trained_is_no_mixture_at_any_scales(architecture: str) -> None:
    root, *tuned = family(architecture)
    child = each(tuned[0], lambda x, y: x + 0.3 * (y - np.roll(y, 1)), network(architecture, 1, step=0.1, tune=9))
    groups, _ = grouped([root, *tuned, child], 5, 0.02)
    assert join_mixtures(groups, thinned(groups.matrices), [SINGLE] * 5, [1, 2, 3, 4]) == 0
    assert not any(groups.maps(member, fixed=fixed) for member in range(1, 5) for fixed in (True, False))


@pytest.mark.parametrize("architecture", SCALED)
def test_a_choice_value_by_value_ties_all_it_was_chosen_from(architecture: str) -> None:
    root, one, two, other = family(architecture)
    groups, undone = grouped([chosen(root, one, two), root, one, two, other], 7, 0.4)
    found = join_exact(groups, [(first, second) for first in range(5) for second in range(first + 1, 5)])
    assert set(found) == {(0, 1), (0, 2), (0, 3)}
    assert max(recovered(groups, member, undone[member]) for member in (1, 2, 3)) < 1e-5
    assert not groups.maps(4, fixed=True)


@pytest.mark.parametrize("architecture", SCALED)
def test_what_a_random_choice_was_added_up_from_is_told_by_its_base(architecture: str) -> None:
    root, one, two, other = family(architecture)
    groups, undone = grouped([added(root, one, two, 3), root, one, two, other], 9, 0.4)
    exact = join_exact(groups, [(first, second) for first in range(5) for second in range(first + 1, 5)])
    assert exact == [(0, 1)]
    assert join_chosen(groups, exact, range(1, 5))
    assert max(recovered(groups, member, undone[member]) for member in (1, 2, 3)) < 1e-5
    assert not groups.maps(4, fixed=True)


def test_a_spherical_merge_of_a_random_choice_is_not_taken_for_its_constituent() -> None:
    root, one, two, _ = family("llama", step=0.4)
    merge = added(root, one, two, 3)
    groups, _ = grouped([merge, root, one, each(merge, slerp, one)], 9, 0.02)
    exact = join_exact(groups, [(0, 1), (0, 2), (0, 3)])
    join_chosen(groups, exact, range(1, 4))
    assert groups.maps(2, fixed=True)
    assert not groups.maps(3, fixed=True)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_what_is_joined_moves_as_one_and_the_frame_of_reference_stays(seed: int) -> None:
    generator = np.random.default_rng(seed)
    networks = [network("llama", 1, step=0.1, tune=tune) for tune in range(4)]
    groups = ScaleGroups(networks, [True, False, False, False])
    key = next(iter(groups.shared(0)))
    units = groups.labels(key, [0]).shape[1]
    one, two, three = (np.exp(generator.uniform(-1, 1, units)) for _ in range(3))
    everything = np.ones(units, dtype=bool)
    assert groups.join(key, 2, 3, one, everything)
    assert not groups.join(key, 3, 2, two, everything)
    groups.scaled(key, 2, three, everything)
    assert groups.join(key, 3, 0, two, everything)
    assert (groups.labels(key, [0, 2, 3]) == FIXED).all()
    assert not groups.maps(0, fixed=True)
    scales = [groups.maps(member, fixed=True)[0].scale for member in (2, 3)]
    assert scales[0] == pytest.approx(three / two)
    assert scales[1] == pytest.approx(one * three / two)
    assert not groups.maps(1, fixed=True)


def test_where_nothing_is_exact_everything_stays() -> None:
    networks = [rescaled(item, place, 0.02)[0] for place, item in enumerate(family("llama"))]
    found = settled(networks, [1, 2, 3], [SINGLE] * 4)
    assert not found.known
    assert not found.merging


def test_merges_of_every_kind_are_found_where_all_were_rescaled(taken: Take) -> None:
    root, one, two, three = family("llama", step=0.2)
    lake = {
        "root": root,
        "one": one,
        "two": two,
        "three": three,
        "ties": chosen(root, one, two),
        "dare": added(root, two, three, 4),
        "linear": each(one, lambda x, y: 0.3 * x + 0.7 * y, three),
        "sum": each(root, lambda x, y, z: x + 0.7 * (y - x) + 0.8 * (z - x), one, two),
    }

    def merges(networks: Mapping[str, Network]) -> dict[str, set[str]]:
        members = {name: taken(names(item)) for name, item in networks.items()}
        words = {item.version: name for name, item in members.items()}
        found = infer(list(members.values()), least_confidence=0.0).derivations
        return {
            words[item.child]: {words[end.id] for end in item.parents}
            for item in found
            if item.relation is Relation.MERGED_FROM
        }

    plain = merges(lake)
    assert plain["ties"] == {"root", "one", "two"}
    assert plain["dare"] == {"root", "two", "three"}
    assert merges({name: laundered(item, 40 + place) for place, (name, item) in enumerate(lake.items())}) == plain


def test_no_version_is_brought_into_the_order_of_units_that_were_pruned_away(taken: Take) -> None:
    root, one, two, three = family("llama", step=0.2)
    dead = np.random.default_rng(0).random(64) < 0.3

    def pruned(role: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if ".mlp." not in role or "norm" in role:
            return values
        return np.where(dead if "down" in role else dead[:, None], 0.0, values)

    hollow = replace(root, matrices={role: pruned(role, values) for role, values in root.matrices.items()})
    networks = [laundered(item, 60 + place) for place, item in enumerate((hollow, one, two, three, root))]
    members = sorted((taken(names(item)) for item in networks), key=lambda item: item.version)
    found = common_frame(members, kinship(members).correlation)
    whole = [
        {tensor.role: tensor.block.reshape(tensor.matrix_shape) for tensor in item.tensors}
        for item in found.members
        if sum(tensor.zeros for tensor in item.tensors) < 10
    ]
    assert len(whole) == 4
    for other in whole[1:]:
        mine, theirs = (item["layers.0.mlp.down.weight"].T for item in (whole[0], other))
        cosines = np.sum(mine * theirs, axis=1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(theirs, axis=1)
        assert cosines.min() > 0.7
