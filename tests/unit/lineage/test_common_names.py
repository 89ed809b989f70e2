"""Networks of unknown architecture under other names: found where they are kin, and only there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.common_names import common_names, renamed_kin
from lineage.correspondence import correspondence
from lineage.inference import Inference, infer
from lineage.memory import Memory
from tests.unit.lineage.networks import Weights, network

Take = Callable[[Weights], Fingerprint]
WIDTH, HIDDEN, LAYERS = 40, 72, 3


def unknown(seed: int, *, width: int = WIDTH, hidden: int = HIDDEN, layers: int = LAYERS) -> Weights:
    """A network that no file of architectures knows, in names of its own."""
    generator = np.random.default_rng(seed)

    def values(*shape: int) -> np.ndarray:
        return (generator.standard_normal(shape) * 0.05).astype(np.float32)

    weights: Weights = {"stem.kernel": values(width, 3, 3, 3)}
    for layer in range(layers):
        for part in ("left", "right", "back"):
            weights[f"trunk.{layer}.{part}.w"] = values(width, width)
            weights[f"trunk.{layer}.{part}.b"] = values(width)
        weights[f"trunk.{layer}.wide.w"] = values(hidden, width)
        weights[f"trunk.{layer}.narrow.w"] = values(width, hidden)
        weights[f"trunk.{layer}.gain"] = np.ones(width, np.float32)
    weights["tip.w"] = values(12, width)
    return weights


def stepped(weights: Weights, seed: int, *, step: float = 0.01) -> Weights:
    """A step in a random direction, of other lengths for other rows; vectors move a little."""
    generator = np.random.default_rng(seed)
    moved: Weights = {}
    for name, values in weights.items():
        lengths = generator.uniform(0.2, 1.8, size=(len(values), *(1,) * (values.ndim - 1)))
        change = lengths * generator.standard_normal(values.shape)
        moved[name] = (values + (step if values.ndim > 1 else step / 20) * change).astype(np.float32)
    return moved


def renamed(weights: Weights, prefix: str = "net/part") -> Weights:
    """Other names in the same order."""
    return {f"{prefix}_{number:03}": values for number, values in enumerate(weights.values())}


def channels_last(weights: Weights) -> Weights:
    """Kernels as (in, out), and with their channels last."""
    return {
        name: np.ascontiguousarray(values.transpose((*range(2, values.ndim), 1, 0)) if values.ndim > 1 else values)
        for name, values in weights.items()
    }


def relations(found: Inference, names: dict[str, str]) -> set[tuple[str, Relation, str]]:
    return {(names[item.child], item.relation, names[item.parents[0].id]) for item in found.derivations}


def inferred(take: Take, **weights: Weights) -> tuple[Inference, dict[str, str]]:
    taken = {name: take(item) for name, item in weights.items()}
    assert not any(item.architecture for item in taken.values())
    found = infer(list(taken.values()), least_confidence=0.0)
    return found, {item.version: name for name, item in taken.items()}


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_renaming_all_tensors_leaves_the_relation_found(taken: Take, data: st.DataObject) -> None:
    base = unknown(0)
    part = st.text("abcxyz_0123456789", min_size=1, max_size=6)
    names = data.draw(st.lists(st.lists(part, min_size=1, max_size=4).map(".".join), min_size=len(base),
                               max_size=len(base), unique=True))  # fmt: skip
    child = dict(zip(names, stepped(base, 1).values(), strict=True))
    found, called = inferred(taken, base=base, child=child, stranger=renamed(unknown(2)))
    # Which of two came first is another question, of which names know nothing.
    assert {frozenset((one, two)) for one, _, two in relations(found, called)} == {frozenset(("base", "child"))}
    assert {relation for _, relation, _ in relations(found, called)} == {Relation.FINE_TUNED_FROM}
    (edge,) = found.derivations
    assert any(item.kind == "other_names" for item in edge.observations)


@pytest.mark.parametrize(("width", "hidden"), [(WIDTH, HIDDEN), (320, 500)], ids=["kept whole", "sampled"])
def test_axes_in_another_order_are_no_obstacle(taken: Take, width: int, hidden: int) -> None:
    base = unknown(0, width=width, hidden=hidden)
    child = stepped(base, 1)
    copy, tuned = renamed(channels_last(child)), renamed(channels_last(stepped(child, 2)))
    stranger = renamed(channels_last(unknown(9, width=width, hidden=hidden)))
    found, called = inferred(taken, base=base, child=child, copy=copy, tuned=tuned, stranger=stranger)
    assert {frozenset(called[member] for member in family) for family in found.families} == {
        frozenset(("base", "child", "copy", "tuned")),
        frozenset(("stranger",)),
    }
    told = {frozenset((one, two)): relation for one, relation, two in relations(found, called)}
    assert told.pop(frozenset(("child", "copy"))) is Relation.REPARAMETRIZED_FROM
    assert set(told.values()) == {Relation.FINE_TUNED_FROM}


def test_a_copy_with_constants_of_its_own_is_a_conversion(taken: Take) -> None:
    base = unknown(0)
    copy = renamed(base) | {"shape": np.array([1, 2, 3], np.float32)}
    found, called = inferred(taken, base=base, copy=copy)
    ((_, relation, _),) = relations(found, called)
    assert relation is Relation.REPARAMETRIZED_FROM
    assert "under other names" in found.derivations[0].summary


def test_equal_shapes_do_not_make_kin(taken: Take) -> None:
    found, _ = inferred(taken, **{f"n{seed}": renamed(unknown(seed), f"scheme{seed}") for seed in range(8)})
    assert found.derivations == ()
    assert all(len(family) == 1 for family in found.families)


def test_a_table_that_two_networks_computed_does_not_make_kin(taken: Take) -> None:
    waves = np.sin(np.arange(64)[:, None] / 10 ** (np.arange(WIDTH)[None, :] / 10)).astype(np.float32)
    one, two = unknown(0) | {"waves": waves}, renamed(unknown(1)) | {"table": waves}
    found, _ = inferred(taken, one=one, two=two)
    assert all(len(family) == 1 for family in found.families)


def test_a_renamed_copy_of_a_known_architecture_is_found_where_it_is_kept_whole(taken: Take) -> None:
    known = taken(network(0))
    copy = taken(renamed(stepped(network(0), 1)))
    assert (known.architecture, copy.architecture) == ("llama", "")
    found = infer([known, copy, taken(renamed(network(2), "other"))], least_confidence=0.0)
    assert [{item.child, item.parents[0].id} for item in found.derivations] == [{known.version, copy.version}]


def test_layers_that_are_gone_are_left_out_of_the_pairs(taken: Take) -> None:
    whole = unknown(0, layers=5)
    shallow = {name: values for name, values in whole.items() if not name.startswith(("trunk.1.", "trunk.3."))}
    one, two = taken(whole), taken(renamed(shallow))
    found = correspondence(one, two)
    assert found.kin
    assert found.kindred == found.tested
    kept = {twin.one.role for twin in found.twins if twin.kindred}
    assert kept == {name for name in shallow if shallow[name].ndim > 1}


def test_numbers_that_overlap_do_not_mislead(taken: Take) -> None:
    # A sequence counts layers that hold nothing, or does not: two of three names mean other tensors.
    values = [item for item in unknown(0).values() if item.shape == (WIDTH, WIDTH)][:3]
    one = {f"{number}.weight": item for number, item in zip((0, 2, 4), values, strict=True)}
    two = {f"{number}.weight": item for number, item in enumerate(stepped(one, 1).values())}
    named = common_names([taken(one), taken(two)])
    assert [tensor.role for tensor in named.members[1].tensors] == ["0.weight", "2.weight", "4.weight"]


def test_members_of_one_naming_are_left_alone(taken: Take) -> None:
    family = [
        taken(unknown(0)),
        taken(stepped(unknown(0), 1)),
        taken(stepped(unknown(0), 2) | {"tip.w": unknown(5)["tip.w"]}),
    ]
    named = common_names(family)
    assert all(one is two for one, two in zip(named.members, family, strict=True))
    assert renamed_kin(family, [[0], [1], [2]]).sum() == 3
    known = [taken(network(0)), taken(network(1))]
    assert renamed_kin(known, [[0], [1]]).sum() == 2


def test_neither_order_nor_memory_matters(taken: Take) -> None:
    base = unknown(0)
    lake = [taken(item) for item in (base, stepped(base, 1), renamed(stepped(base, 2)), renamed(unknown(3), "s"))]
    expected = infer(lake)
    memory = Memory()
    infer(lake[2:], memory=memory)
    assert infer(lake[::-1], memory=memory) == expected == infer(lake[1:] + lake[:1])


@pytest.mark.filterwarnings("error")
def test_a_version_that_is_an_embedding_alone_is_compared_by_that(taken: Take) -> None:
    whole = network(0)
    alone = {"model.embed_tokens.weight": whole["model.embed_tokens.weight"]}
    for name in ("model.embed_tokens.weight", "table"):
        lone = taken({name: alone["model.embed_tokens.weight"]})
        found = infer([taken(whole), taken(stepped(whole, 1)), lone], least_confidence=0.0)
        assert all(0 <= item.confidence <= 1 for item in found.derivations)
        assert all(0 <= probability <= 1 for probability in found.roots.values())
        assert sorted(map(len, found.families)) == [3]
