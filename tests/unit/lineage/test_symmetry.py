"""Laundering undone: units permuted, rescaled, rotated, in the shapes of every architecture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.inference import infer
from lineage.relatedness import kinship
from lineage.symmetry.aligning import Network, aligned, mapped_matrices
from lineage.symmetry.couplings import Shape, symmetries_of
from lineage.symmetry.frame import common_frame
from lineage.symmetry.held_out import log10_p
from lineage.symmetry.matching import assign
from lineage.symmetry.placing import LOG10_P
from lineage.symmetry.rotation import turn_between
from lineage.symmetry.screening import frames, in_one_frame
from lineage.symmetry.turned_kin import turned_kin
from tests.unit.lineage.numpy_training import version
from tests.unit.lineage.symmetric_networks import (
    ARCHITECTURES,
    Weights,
    laundered,
    names,
    network,
    shapes_of,
    turned,
)


def worst(one: Network, two: dict[str, NDArray[np.float64]]) -> float:
    return max(float(np.abs(two[role] - values).max() / np.abs(values).max()) for role, values in one.matrices.items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000), rescaled=st.booleans())
def test_aligning_undoes_laundering(architecture: str, seed: int, rescaled: bool) -> None:
    source = network(architecture, 1)
    copy = laundered(source, seed, rescaled=rescaled)
    found = aligned(source, copy)
    assert found.log10_p < LOG10_P
    assert worst(source, mapped_matrices(copy.matrices, found.maps)) < 1e-6
    assert found.how == (("permuted", "rescaled") if rescaled else ("permuted",))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_laundered_fine_tune_comes_back_to_where_it_was(architecture: str) -> None:
    source, tuned = network(architecture, 1), network(architecture, 1, step=0.2, tune=5)
    copy = laundered(tuned, 8, rescaled=False)
    found = aligned(source, copy)
    assert found.log10_p < LOG10_P
    assert worst(tuned, mapped_matrices(copy.matrices, found.maps)) < 1e-6
    rescaled = aligned(source, laundered(tuned, 8))
    assert rescaled.residual < 1.1 * aligned(source, tuned).residual + 0.02


@pytest.mark.parametrize("architecture", ["llama", "bert", "vit"])
def test_a_repeated_layer_comes_back_to_the_one_it_repeats_with_its_norms(architecture: str) -> None:
    source = network(architecture, 1)
    deeper = {
        role.replace("layers.1.", "layers.2."): source.matrices[role] for role in source.matrices if "layers.1." in role
    }
    shapes = {role: source.shapes[role.replace("layers.2.", "layers.1.")] for role in deeper} | dict(source.shapes)
    grown = Network(
        matrices={**source.matrices, **deeper}, shapes=shapes, symmetries=symmetries_of(architecture, shapes)
    )
    copy = laundered(grown, 4)
    back = mapped_matrices(copy.matrices, aligned(source, copy).maps)
    assert worst(grown, back) < 1e-6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_needs_no_mapping_gets_none(architecture: str) -> None:
    source = network(architecture, 1)
    assert aligned(source, source).maps == ()
    assert aligned(source, network(architecture, 1, step=0.3, tune=2)).maps == ()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_independent_networks_are_no_kin_however_hard_they_are_matched(architecture: str) -> None:
    source = network(architecture, 1)
    assert min(aligned(source, network(architecture, seed)).log10_p for seed in range(2, 8)) > -4


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_units_changes_neither_p_value_nor_outcome(seed: int) -> None:
    source, tuned = network("llama", 1), network("llama", 1, step=0.2, tune=5)
    once = aligned(source, tuned)
    again = aligned(source, laundered(tuned, seed, rescaled=False))
    assert again.log10_p == once.log10_p
    assert again.residual == pytest.approx(once.residual, rel=1e-5)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_rotation_is_turned_back(seed: int) -> None:
    source = network("llama", 1)
    copy = laundered(turned(source, seed), seed + 1)
    found = turn_between(source, copy)
    assert found is not None
    assert found.log10_p < LOG10_P
    back = found.apply(source, copy)
    rest = aligned(source, back)
    assert worst(source, mapped_matrices(back.matrices, rest.maps)) < 1e-4
    stranger = turn_between(source, network("llama", 2))
    assert stranger is not None
    assert stranger.log10_p > -4


def test_no_rotation_where_norms_take_the_mean_off() -> None:
    assert turn_between(network("bert", 1), network("bert", 1)) is None


def test_p_values_are_those_of_fixed_points() -> None:
    assert log10_p(0, 1) == log10_p(2, 2) == 0.0
    assert log10_p(20, 1) == pytest.approx(np.log10(2 / prod(range(1, 21))))
    assert log10_p(20, 2) > log10_p(20, 1)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 40), seed=st.integers(0, 1000))
def test_assignment_finds_a_permutation(size: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(size)
    cosines = np.full((size, size), 0.1)
    cosines[np.arange(size), order] = 0.9
    assert assign(cosines).tolist() == order.tolist()


def test_many_units_are_matched_by_their_nearest_first() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((2100, 8))
    order = generator.permutation(2100)
    assert assign(_cosines(vectors, vectors[np.argsort(order)])).tolist() == order.tolist()


def _cosines(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    unit = [item / np.linalg.norm(item, axis=1, keepdims=True) for item in (one, two)]
    products: NDArray[np.float64] = unit[0] @ unit[1].T
    return products


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_constant_tensor_invents_no_kinship(value: float) -> None:
    def hollow(seed: int) -> Network:
        item = network("llama", seed)
        filled = {role: np.full_like(values, np.nan_to_num(value)) for role, values in item.matrices.items()}
        return replace(item, matrices={**filled, "embed.token.weight": item.matrices["embed.token.weight"]})

    assert aligned(hollow(1), hollow(2)).log10_p == 0.0
    assert aligned(hollow(1), hollow(2)).maps == ()


def test_unknown_architectures_and_missing_tensors_have_no_symmetries() -> None:
    shapes = shapes_of("llama")
    assert symmetries_of("", shapes).all == ()
    shapes.pop("layers.0.mlp.down.weight")
    kinds = [
        item.kind for item in symmetries_of("llama", shapes).couplings if item.slots[0].role.startswith("layers.0")
    ]
    assert "neurons" not in kinds
    assert "heads" in kinds


def test_one_unit_has_nothing_to_move() -> None:
    shapes: dict[str, Shape] = {"layers.0.mlp.up.weight": (1, 8), "layers.0.mlp.down.weight": (8, 1)}
    generator = np.random.default_rng(0)
    matrices = {role: generator.standard_normal(shape) for role, shape in shapes.items()}
    single = Network(matrices=matrices, shapes=shapes, symmetries=symmetries_of("bert", shapes))
    assert aligned(single, single).maps == ()


# Whole lakes, through fingerprints.


Take = Callable[[Weights], Fingerprint]


@pytest.fixture(scope="module")
def family(taken: Take) -> dict[str, Fingerprint]:
    tuned = {name: network("llama", 1, step=0.2, tune=tune) for name, tune in (("a", 1), ("b", 2), ("c", 3))}
    networks = {"root": network("llama", 1), **tuned}
    networks["copy"] = laundered(tuned["a"], 11)
    networks["renumbered"] = laundered(tuned["b"], 12, rescaled=False)
    networks["turned"] = turned(tuned["c"], 13)
    networks["stranger"] = network("llama", 7)
    return {name: taken(names(item)) for name, item in networks.items()}


def parents(found: Sequence[Fingerprint], family: dict[str, Fingerprint]) -> dict[str, tuple[str, Relation]]:
    words = {item.version: name for name, item in family.items()}
    inference = infer(list(found), least_confidence=0.0)
    return {words[item.child]: (words[item.parents[0].id], item.relation) for item in inference.derivations}


def test_laundered_copies_are_found_with_their_sources(family: dict[str, Fingerprint]) -> None:
    found = parents(list(family.values()), family)
    for copy, source in (("copy", "a"), ("renumbered", "b"), ("turned", "c")):
        assert found[copy] == (source, Relation.REPARAMETRIZED_FROM)
    assert all(found[name] == ("root", Relation.FINE_TUNED_FROM) for name in "abc")
    assert "stranger" not in found


def test_a_rescaled_version_is_aligned_with_its_own_run_and_not_with_another_from_the_same_start(taken: Take) -> None:
    def run(number: int, member: int) -> Network:
        moved = {
            role: item + 0.02 * member for role, item in network("llama", 1, step=1.0, tune=number).matrices.items()
        }
        return replace(network("llama", 1), matrices=moved)

    lake = {f"own{member}": taken(names(run(1, member))) for member in range(2)}
    lake |= {f"other{member}": taken(names(run(2, member))) for member in range(3)}
    lake["lost"] = taken(names(laundered(run(1, 0), 3)))
    members = sorted(lake.values(), key=lambda item: item.version)
    known = {item.version: name for name, item in lake.items()}
    place = {known[item.version]: number for number, item in enumerate(members)}
    correlation = kinship(members).correlation.copy()
    # Rescaled weights tell little of which run they come from.
    for name, number in place.items():
        correlation[place["lost"], number] = correlation[number, place["lost"]] = 0.1 if "other" in name else 0.05
    found = common_frame(members, correlation).laundered[lake["lost"].version]
    assert known[found.reference] == "own0"
    assert found.residual < 1e-5


def test_laundered_fine_tunes_of_ghosts_are_neighbours_of_their_nearest_relative(
    family: dict[str, Fingerprint],
) -> None:
    found = parents([item for name, item in family.items() if name not in "abc"], family)
    edges = {frozenset((child, parent)) for child, (parent, _) in found.items()}
    assert edges == {frozenset(("root", name)) for name in ("copy", "renumbered", "turned")}
    assert {relation for _, relation in found.values()} == {Relation.FINE_TUNED_FROM}


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(8)))
def test_the_order_of_arrival_does_not_matter(family: dict[str, Fingerprint], order: list[int]) -> None:
    members = list(family.values())
    assert infer([members[place] for place in order]) == infer(members)


def test_a_clean_family_passes_through_untouched(family: dict[str, Fingerprint]) -> None:
    clean = sorted((family[name] for name in ("root", "a", "b", "c")), key=lambda item: item.version)
    correlation = kinship(clean).correlation
    assert len(frames(clean, correlation)) == 1
    found = common_frame(clean, correlation)
    assert all(one is two for one, two in zip(found.members, clean, strict=True))
    assert not found.laundered


def test_what_has_nothing_to_look_at_is_no_witness_of_one_frame(family: dict[str, Fingerprint]) -> None:
    clean = sorted((family[name] for name in ("root", "a", "b", "c")), key=lambda item: item.version)
    assert in_one_frame(clean)
    assert not in_one_frame([*clean, family["copy"]])
    bare = replace(clean[0], tensors=tuple(item for item in clean[0].tensors if item.role.startswith("embed")))
    assert not in_one_frame([bare, *clean])


def test_small_samples_of_many_layers_make_no_relative_strange() -> None:
    generator = np.random.default_rng(0)
    shapes = {f"layers.{layer}.mlp.{part}.weight": (8, 8) for layer in range(60) for part in ("up", "gate", "down")}
    root = {role: generator.standard_normal(shape).astype(np.float32) for role, shape in shapes.items()}
    steps = [
        {role: values + 0.01 * generator.standard_normal(values.shape) for role, values in root.items()}
        for _ in range(40)
    ]
    family = [replace(version(str(n), weights), architecture="llama") for n, weights in enumerate([root, *steps])]
    assert len(frames(family, np.ones((41, 41)))) == 1
    scales = np.exp(generator.uniform(-0.5, 0.5, 8))
    rescaled = {role: values * scales[:, None] if ".up." in role else values for role, values in steps[0].items()}
    family.append(replace(version("41", rescaled), architecture="llama"))
    assert [len(frame) for frame in frames(family, np.ones((42, 42)))] == [41, 1]


def test_only_what_was_laundered_is_mapped(family: dict[str, Fingerprint]) -> None:
    members = sorted((item for name, item in family.items() if name != "stranger"), key=lambda item: item.version)
    found = common_frame(members, kinship(members).correlation)
    assert set(found.laundered) == {family[name].version for name in ("copy", "renumbered", "turned")}
    for before, after in zip(members, found.members, strict=True):
        assert (before is after) == (before.version not in found.laundered)
    hows = {name: found.laundered[family[name].version].how for name in ("copy", "renumbered", "turned")}
    assert hows == {"copy": ("permuted", "rescaled"), "renumbered": ("permuted",), "turned": ("rotated",)}


def test_strangers_are_not_joined_by_any_rotation(family: dict[str, Fingerprint]) -> None:
    members = [family["root"], family["turned"], family["stranger"]]
    joined = turned_kin(members, [[0], [1], [2]])
    assert joined.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
