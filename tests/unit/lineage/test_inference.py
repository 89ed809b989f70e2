"""The inference on made-up lakes: what was done is found, whatever the order, and nothing is invented."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.errors import FormatError, InputError
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.calibration import default_calibration, read_calibration
from lineage.inference import Inference, infer
from tests.unit.lineage.networks import HIDDEN, WIDTH, mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]


def edges(found: Inference) -> set[tuple[str, str, Relation]]:
    return {(item.child, parent.id, item.relation) for item in found.derivations for parent in item.parents}


@pytest.fixture(scope="module")
def root() -> dict[str, np.ndarray]:
    return network(0)


def only(found: Inference, child: Fingerprint) -> tuple[Relation, dict[str, float | None]]:
    (item,) = (item for item in found.derivations if item.child == child.version)
    return item.relation, {parent.id: parent.weight for parent in item.parents}


@pytest.fixture(scope="module")
def tree(taken: Take, root: dict[str, np.ndarray]) -> dict[str, Fingerprint]:
    weights = {"root": root}
    weights["a"] = trained(root, 1)
    weights["b"] = trained(root, 2)
    weights["c"] = trained(root, 3)
    weights["aa"] = trained(weights["a"], 4)
    weights["ab"] = trained(weights["a"], 5)
    weights["aaa"] = trained(weights["aa"], 6)
    return {name: taken(item) for name, item in weights.items()}


def test_a_tree_of_fine_tunes_is_found_with_its_directions(tree: dict[str, Fingerprint]) -> None:
    names = {item.version: name for name, item in tree.items()}
    found = infer(list(tree.values()), least_confidence=0.0)
    parents = {names[child]: names[parent] for child, parent, _ in edges(found)}
    assert parents == {"a": "root", "b": "root", "c": "root", "aa": "a", "ab": "a", "aaa": "aa"}
    assert all(relation is Relation.FINE_TUNED_FROM for _, _, relation in edges(found))
    assert len(found.families) == 1


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(7)))
def test_the_order_of_arrival_does_not_matter(tree: dict[str, Fingerprint], order: list[int]) -> None:
    members = list(tree.values())
    assert infer([members[place] for place in order]) == infer(members)


def test_independent_models_of_one_architecture_are_no_family(taken: Take) -> None:
    found = infer([taken(network(seed)) for seed in range(6)], least_confidence=0.0)
    assert found.derivations == ()
    assert all(len(family) == 1 for family in found.families)


def half(values: np.ndarray) -> np.ndarray:
    bits = values.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32)


def int8(values: np.ndarray) -> np.ndarray:
    if values.ndim < 2:
        return values
    scale = np.abs(values).max(axis=1, keepdims=True) / 127
    return (np.round(values / scale) * scale).astype(np.float32)


def sparse(values: np.ndarray) -> np.ndarray:
    if values.ndim < 2:
        return values
    return np.where(np.abs(values) < np.quantile(np.abs(values), 0.5), 0, values).astype(np.float32)


@pytest.mark.parametrize(
    ("operation", "relation"),
    [(half, Relation.QUANTIZED_FROM), (int8, Relation.QUANTIZED_FROM), (sparse, Relation.PRUNED_FROM)],
)
def test_a_lossy_copy_is_found_with_its_source(
    taken: Take, tree: dict[str, Fingerprint], root: dict[str, np.ndarray], operation: Callable, relation: Relation
) -> None:
    source = trained(root, 1)
    copy = taken({name: operation(values) for name, values in source.items()})
    found = infer([*tree.values(), copy])
    assert only(found, copy) == (relation, {tree["a"].version: None})


@pytest.mark.parametrize("seed", range(4))
def test_of_two_copies_neither_is_the_others_source(taken: Take, seed: int) -> None:
    generator = np.random.default_rng(seed)
    source = {
        name: values if values.ndim > 1 else (1 + 0.1 * generator.standard_normal(values.shape)).astype(np.float32)
        for name, values in network(seed).items()
    }
    whole = taken(source)
    copies = [taken({name: operation(values) for name, values in source.items()}) for operation in (half, int8)]
    found = infer([whole, *copies])
    assert [only(found, copy) for copy in copies] == [(Relation.QUANTIZED_FROM, {whole.version: None})] * 2


def test_a_low_rank_change_is_a_merged_adapter(taken: Take, tree: dict[str, Fingerprint], root: dict) -> None:
    generator = np.random.default_rng(9)
    adapted = dict(root)
    for name, values in root.items():
        if "self_attn" in name:
            left, right = (generator.standard_normal((size, 4)) for size in values.shape)
            adapted[name] = (values + 0.02 * left @ right.T).astype(np.float32)
    child = taken(adapted)
    found = infer([*tree.values(), child], least_confidence=0.0)
    (item,) = (item for item in found.derivations if item.child == child.version)
    assert item.parents[0].id == tree["root"].version
    assert item.parameters["rank"] == 4


def merges(root: dict[str, np.ndarray]) -> Iterable[tuple[str, dict[str, np.ndarray], dict[str, float | None]]]:
    b, c = trained(root, 2), trained(root, 3)
    yield "linear", mixed((0.3, b), (0.7, c)), {"b": 0.3, "c": 0.7}
    yield "task arithmetic", mixed((-0.6, root), (0.8, b), (0.8, c)), {"root": -0.6, "b": 0.8, "c": 0.8}
    generator = np.random.default_rng(7)
    dare = {}
    for name, values in root.items():
        deltas = [(other[name] - values) * (generator.random(values.shape) < 0.5) / 0.5 for other in (b, c)]
        dare[name] = (values + 0.5 * deltas[0] + 0.5 * deltas[1]).astype(np.float32)
    yield "dare", dare, {"root": None, "b": None, "c": None}
    stitched = {name: (b if ".layers.0." in name or ".layers.1." in name else c)[name] for name in root}
    yield "passthrough", stitched, {}


@pytest.mark.parametrize("number", range(4))
def test_a_merge_is_found_with_its_parents_and_coefficients(
    taken: Take, tree: dict[str, Fingerprint], root: dict[str, np.ndarray], number: int
) -> None:
    method, weights, expected = list(merges(root))[number]
    child = taken(weights)
    found = infer([*tree.values(), child])
    (item,) = (item for item in found.derivations if item.child == child.version)
    assert item.relation is Relation.MERGED_FROM
    assert item.parameters["method"] == method
    names = {fingerprint.version: name for name, fingerprint in tree.items()}
    got = {names[parent.id]: parent.weight for parent in item.parents}
    if expected:
        assert got.keys() == expected.keys()
        for name, weight in expected.items():
            assert got[name] == (None if weight is None else pytest.approx(weight, abs=5e-3))
    else:
        assert got.keys() == {"b", "c"}


def test_an_edit_of_what_was_stitched_does_not_hide_where_it_came_from(
    taken: Take, tree: dict[str, Fingerprint], root: dict[str, np.ndarray]
) -> None:
    *_, (_, stitched, _) = merges(root)
    generator = np.random.default_rng(5)
    name = next(item for item in stitched if ".layers.0." in item and "down_proj" in item)
    rows, columns = stitched[name].shape
    change = 0.05 * np.outer(generator.standard_normal(rows), generator.standard_normal(columns))
    edited = {**stitched, name: (stitched[name] + change).astype(np.float32)}
    lake = {**tree, "stitched": taken(stitched), "edited": taken(edited)}
    words = {item.version: word for word, item in lake.items()}
    found = infer(list(lake.values()), least_confidence=0.0)
    parents = {words[item.child]: {words[end.id] for end in item.parents} for item in found.derivations}
    assert parents["stitched"] == {"b", "c"}
    assert parents["edited"] == {"stitched"}


def test_renumbered_units_are_the_same_function(taken: Take, tree: dict[str, Fingerprint], root: dict) -> None:
    order = np.random.default_rng(3).permutation(HIDDEN)
    shuffled = dict(root)
    for name, values in root.items():
        if "up_proj" in name or "gate_proj" in name:
            shuffled[name] = values[order]
        elif "down_proj" in name:
            shuffled[name] = values[:, order]
    child = taken(shuffled)
    found = infer([*tree.values(), child], least_confidence=0.0)
    assert (child.version, tree["root"].version, Relation.REPARAMETRIZED_FROM) in edges(found) or (
        tree["root"].version,
        child.version,
        Relation.REPARAMETRIZED_FROM,
    ) in edges(found)


def test_repeated_layers_are_an_expansion(taken: Take, tree: dict[str, Fingerprint], root: dict) -> None:
    grown = {name: values for name, values in root.items() if ".layers." not in name}
    for new, old in enumerate((0, 1, 1, 2)):
        prefix = f"model.layers.{old}."
        grown |= {name.replace(prefix, f"model.layers.{new}."): root[name] for name in root if name.startswith(prefix)}
    child = taken(grown)
    found = infer([*tree.values(), child])
    assert only(found, child) == (Relation.EXPANDED_FROM, {tree["root"].version: None})


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1.0])
def test_a_tensor_of_nothing_but_one_value_invents_nothing(
    taken: Take, root: dict[str, np.ndarray], value: float
) -> None:
    broken = trained(root, 1)
    broken["model.layers.0.mlp.up_proj.weight"] = np.full((HIDDEN, WIDTH), value, dtype=np.float32)
    hollow = {name: np.full_like(values, value) for name, values in network(5).items()}
    found = infer([taken(root), taken(broken), taken(hollow)], least_confidence=0.0)
    assert taken(hollow).version not in {version for child, parent, _ in edges(found) for version in (child, parent)}


def test_a_single_model_and_models_with_nothing_in_common_are_left_alone(taken: Take, root: dict) -> None:
    assert infer([taken(root)]).derivations == ()
    other = taken({"conv.weight": np.random.default_rng(0).standard_normal((16, 3, 3, 3)).astype(np.float32)})
    assert infer([taken(root), other], least_confidence=0.0).derivations == ()


def test_what_cannot_be_inferred_from_is_refused(tree: dict[str, Fingerprint]) -> None:
    with pytest.raises(InputError, match="one id"):
        infer([tree["a"], tree["a"]])
    with pytest.raises(InputError, match="least confidence"):
        infer([], least_confidence=2)
    with pytest.raises(FormatError, match="no calibration"):
        read_calibration("{}", where="numbers.json")
    assert default_calibration().link_sharpness > 0
