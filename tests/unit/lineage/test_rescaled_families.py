"""Families in which every member was rescaled: scales to the last digit, slices, and what is still found."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.inference import infer
from lineage.relatedness import kinship
from lineage.symmetry.aligning import Network, aligned, mapped_matrices
from lineage.symmetry.balancing import gauging
from lineage.symmetry.couplings import symmetries_of
from lineage.symmetry.exact_scales import commonest, exact_scales, told
from lineage.symmetry.frame import common_frame
from lineage.symmetry.mapped import network_of
from lineage.symmetry.placing import Placing
from lineage.symmetry.quieting import quieted
from lineage.symmetry.slicing import sliced
from lineage.symmetry.units import Matrices
from tests.unit.lineage.symmetric_networks import Weights, laundered, names, network, turned

Take = Callable[[Weights], Fingerprint]


@given(st.integers(0, 200), st.integers(8, 60), st.sampled_from([-1.0, 1.0]))
def test_the_commonest_ratio_is_found_among_others(seed: int, agreeing: int, sign: float) -> None:
    generator = np.random.default_rng(seed)
    scale = sign * np.exp(generator.uniform(-1, 1, size=(5, 1)))
    ratios = scale * np.exp(0.02 * generator.standard_normal((5, 120)))
    rounding = 1 + 1e-7 * generator.standard_normal((5, agreeing))
    ratios[:, :agreeing] = scale * rounding
    ratios[:, -3:] = np.nan
    found, told = commonest(generator.permuted(ratios, axis=1))
    assert told.all()
    assert found == pytest.approx(scale[:, 0], rel=1e-6)
    assert not commonest(scale * np.exp(0.02 * generator.standard_normal((5, 120))))[1].any()


def test_scales_of_a_pruned_copy_are_exact_and_those_of_a_fine_tune_are_not() -> None:
    root, tuned = network("llama", 1), network("llama", 1, step=0.1, tune=2)
    pruned = replace(
        root, matrices={role: np.where(np.abs(item) > 0.03, item, 0.0) for role, item in root.matrices.items()}
    )
    for other, exact in ((pruned, True), (tuned, False)):
        moved = laundered(other, 5, permuted=False)
        for coupling in (item for item in root.symmetries.couplings if item.kind == "neurons"):
            scale = exact_scales(root.matrices, moved.matrices, (coupling, coupling), coupling.candidates[-1])
            assert (scale is not None) == exact


def _apart(one: Network, two: Network) -> float:
    return float(sum(np.sum((item - two.matrices[role]) ** 2) for role, item in one.matrices.items()))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "vit", "resnet", "t5"])
def test_on_a_slice_mixtures_are_mixtures_again(architecture: str) -> None:
    root, one, two = network(architecture, 1), *(network(architecture, 1, step=0.1, tune=k) for k in (1, 2))
    mean = replace(one, matrices={role: 0.3 * item + 0.7 * two.matrices[role] for role, item in one.matrices.items()})
    gauged = []
    for seed, item in enumerate((one, two, mean)):
        moved = laundered(item, seed)
        moved = replace(moved, matrices=mapped_matrices(moved.matrices, aligned(root, moved).maps))
        gauged.append(replace(moved, matrices=mapped_matrices(moved.matrices, gauging(root, moved))))
    again = replace(
        one, matrices={role: 0.3 * item + 0.7 * gauged[1].matrices[role] for role, item in gauged[0].matrices.items()}
    )
    assert _apart(again, gauged[2]) < 0.01 * _apart(gauged[0], gauged[2])


def test_neighbours_copies_and_merges_are_the_same_where_all_were_rescaled(taken: Take) -> None:
    root = network("llama", 1)
    tuned = {name: network("llama", 1, step=0.1, tune=tune) for name, tune in (("a", 1), ("b", 2), ("c", 3))}
    lake = {"root": root, **tuned}
    lake["pruned"] = replace(
        root, matrices={role: np.where(np.abs(item) > 0.02, item, 0.0) for role, item in tuned["a"].matrices.items()}
    )
    lake["merged"] = replace(
        root,
        matrices={role: 0.4 * item + 0.6 * tuned["c"].matrices[role] for role, item in tuned["b"].matrices.items()},
    )

    def edges(networks: dict[str, Network]) -> set[tuple[frozenset[str], Relation]]:
        members = {name: taken(names(item)) for name, item in networks.items()}
        words = {item.version: name for name, item in members.items()}
        found = infer(list(members.values()), least_confidence=0.0).derivations
        return {
            (frozenset((words[item.child], words[end.id])), item.relation) for item in found for end in item.parents
        }

    plain = edges(lake)
    assert {
        (frozenset(("pruned", "a")), Relation.PRUNED_FROM),
        (frozenset(("merged", "b")), Relation.MERGED_FROM),
        (frozenset(("merged", "c")), Relation.MERGED_FROM),
    } <= plain
    assert edges({name: laundered(item, 20 + seed) for seed, (name, item) in enumerate(lake.items())}) == plain


@pytest.mark.parametrize("seed", range(4))
def test_what_is_exact_beside_its_source_stays_so_whatever_else_lies_near(seed: int, taken: Take) -> None:
    root, tuned = network("llama", seed), network("llama", seed, step=0.05, tune=2)
    cast = replace(
        tuned, matrices={role: item.astype(np.float16).astype(np.float64) for role, item in tuned.matrices.items()}
    )
    lake = {"root": root, "tuned": tuned, "cast": cast, "copy": laundered(tuned, seed, permuted=False)}
    members = sorted((taken(names(item)) for item in lake.values()), key=lambda item: item.version)
    source, copy = (taken(names(lake[name])) for name in ("tuned", "copy"))
    frame = common_frame(members, kinship(members).correlation)
    assert list(frame.laundered) == [copy.version]
    back = next(item for item in frame.members if item.version == copy.version)
    assert [item.content for item in back.tensors] == [item.content for item in source.tensors]


@pytest.mark.parametrize("shorter", [False, True])
def test_what_lost_a_layer_is_brought_along_with_its_source(shorter: bool) -> None:
    lake = {tune: laundered(network("llama", 1, step=0.1, tune=tune), tune, permuted=False) for tune in range(1, 5)}
    short, whole = (5, 2) if shorter else (2, 5)
    networks = {0: network("llama", 1), **lake, whole: lake[2], short: _without_layer(lake[2], 1)}
    maps = quieted(networks, {1, 2, 3, 4, 5}, {5: 2})
    found = {item: mapped_matrices(networks[item].matrices, maps.get(item, [])) for item in networks}
    assert all(np.array_equal(values, found[whole][role]) for role, values in found[short].items())
    for layer in (0, 1):
        gate = f"layers.{layer}.mlp.gate.weight"
        before, after = (np.sum((some[0][gate] - some[whole][gate]) ** 2) for some in (_matrices(networks), found))
        assert after < 0.1 * before


def test_what_lost_a_layer_is_placed_after_what_has_it(taken: Take) -> None:
    lake = [laundered(network("llama", 1, step=0.1, tune=tune), tune) for tune in range(1, 5)]
    lake.append(laundered(_without_layer(lake[0], 1), 9))
    members = sorted((taken(names(item)) for item in lake), key=lambda item: item.version)
    short = min(range(5), key=lambda place: len(members[place].tensors))
    first, *others = [place for place in range(5) if place != short]
    correlation = np.full((5, 5), 0.1)
    correlation[first, short] = correlation[short, first] = 0.9
    groups = [[first], [short], *([place] for place in others)]
    usual = len(network_of(members[first]).symmetries.couplings)
    family = Placing(members, groups, 0, correlation, None)
    assert short not in [family.waiting[place][0] for place in family.nearest(usual=usual)]
    for _ in others:
        family.place_next(usual=usual)
    assert family.waiting == [[short]]


def test_what_lost_a_layer_is_on_the_slice_of_its_source() -> None:
    lake = {tune: laundered(network("llama", 1, step=0.1, tune=tune), tune) for tune in range(1, 4)}
    networks = {0: network("llama", 1), **lake, 5: _without_layer(lake[2], 1)}
    maps = sliced(networks, dict.fromkeys(networks, 0), {5: 2})
    source, short = (mapped_matrices(networks[item].matrices, maps[item]) for item in (2, 5))
    assert all(np.array_equal(values, source[role]) for role, values in short.items())


def _matrices(networks: dict[int, Network]) -> dict[int, Matrices]:
    return {item: network.matrices for item, network in networks.items()}


def _without_layer(item: Network, layer: int) -> Network:
    kept = {role: shape for role, shape in item.shapes.items() if f"layers.{layer}." not in role}
    matrices = {role: item.matrices[role] for role in kept}
    return Network(matrices=matrices, shapes=kept, symmetries=symmetries_of("llama", kept))


def test_a_norm_is_told_by_its_gains_and_biases_alone() -> None:
    generator = np.random.default_rng(0)
    scale = generator.choice([-1.0, 1.0], 48) * np.exp(generator.uniform(-1, 1, 48))
    trained = scale[:, None] * np.exp(0.1 * generator.standard_normal((48, 20)))
    rounded = scale[:, None] * (1 + 1e-7 * generator.standard_normal((48, 2)))
    found, sure = told([rounded[:, :1], rounded[:, 1:], trained])
    assert sure.all()
    assert found == pytest.approx(scale, rel=1e-6)
    assert not told([rounded[:, :1], 1.01 * rounded[:, 1:], trained])[1].any()
    assert not told([rounded[:, :1], trained])[1].any()


def test_scales_are_exact_however_much_an_adapter_changed() -> None:
    root = network("llama", 1)
    generator = np.random.default_rng(2)
    changed = {
        role: generator.standard_normal((len(item), 2)) @ generator.standard_normal((2, item.shape[1]))
        for role, item in root.matrices.items()
        if role.endswith(("query.weight", "value.weight", "up.weight"))
    }
    tuned = replace(root, matrices={role: item + 0.1 * changed.get(role, 0.0) for role, item in root.matrices.items()})
    moved = laundered(tuned, 3)
    alignment = aligned(root, moved)
    back = mapped_matrices(moved.matrices, alignment.maps)
    assert alignment.exact
    assert all(np.allclose(back[role], item, rtol=1e-4, atol=1e-6) for role, item in tuned.matrices.items())


def test_what_cannot_be_aligned_at_first_is_tried_again(taken: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = [network("llama", 1), *(laundered(network("llama", 1, step=0.1, tune=tune), tune) for tune in (1, 2))]
    members = sorted((taken(names(item)) for item in lake), key=lambda item: item.version)
    correlation = np.full((3, 3), 0.1)
    correlation[0, 1] = correlation[1, 0] = 0.9
    family = Placing(members, [[0], [1], [2]], 0, correlation, None)
    tried = family.tried
    # Beside the reference alone the first is no kin; once the other is placed, it is.
    monkeypatch.setattr(family, "tried", lambda place: None if family.waiting[0] == [1] else tried(place))
    usual = len(network_of(members[0]).symmetries.couplings)
    family.place_next(usual=usual)
    assert family.waiting == [[2], [1]]
    family.place_next(usual=usual)
    assert family.waiting == [[1]]
    monkeypatch.setattr(family, "tried", tried)
    family.place_next(usual=usual)
    assert not family.waiting
    assert len(family.laundered) == 2


def test_what_was_turned_waits_for_what_it_may_be_a_copy_of(taken: Take) -> None:
    far = network("llama", 1, step=0.7, tune=1)
    lake = {"root": network("llama", 1), "short": _without_layer(far, 1), "far": far, "turned": turned(far, 3)}
    versions = {name: taken(names(item)) for name, item in lake.items()}
    # What lacks a layer stands for its frame, whose turn comes later therefore.
    family = Placing(list(versions.values()), [[0], [1, 2], [3]], 0, np.full((4, 4), 0.1), None)
    usual = len(network_of(versions["root"]).symmetries.couplings)
    family.place_next(usual=usual)
    assert family.waiting == [[1, 2], [3]]
    while family.waiting:
        family.place_next(usual=usual)
    placed = family.laundered[versions["turned"].version]
    assert placed.reference in {versions[name].version for name in ("short", "far")}
    assert placed.how[0] == "rotated"
    assert placed.residual < 1e-4


def test_of_two_as_far_the_one_that_needs_no_mapping_is_placed_first(taken: Take) -> None:
    far = network("llama", 1, step=0.7, tune=1)
    lake = {"root": network("llama", 1), "copy": laundered(far, 3), "far": far}
    versions = {name: taken(names(item)) for name, item in lake.items()}
    family = Placing(list(versions.values()), [[0], [1], [2]], 0, np.full((3, 3), 0.1), None)
    usual = len(network_of(versions["root"]).symmetries.couplings)
    family.place_next(usual=usual)
    assert family.waiting == [[1]]
    family.place_next(usual=usual)
    placed = family.laundered[versions["copy"].version]
    assert placed.reference == versions["far"].version
    assert placed.residual < 1e-4
    assert versions["far"].version not in family.laundered
