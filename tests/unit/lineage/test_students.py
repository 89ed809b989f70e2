"""Students from random weights: what their outputs have of their teacher's."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.labels import Relation
from lineage.behaviour.output_geometry import LEAST_HELD, OutputGeometry, agreement, output_geometry
from lineage.behaviour.students import NAMED, _Agreement, _at_best_size, _ranked
from lineage.inference import infer
from tests.unit.lineage.numpy_training import Adam, Weights, version

INPUTS, OUTPUTS = 12, 40

Values = NDArray[np.float64]


def start(seed: int, hidden: int) -> Weights:
    generator = np.random.default_rng(seed)
    return {
        "layers.0.in.weight": generator.standard_normal((hidden, INPUTS)) / np.sqrt(INPUTS),
        "head.weight": generator.standard_normal((OUTPUTS, hidden)) / np.sqrt(hidden),
    }


def outputs(weights: Weights, x: Values) -> Values:
    return np.tanh(x @ weights["layers.0.in.weight"].T) @ weights["head.weight"].T


def taught(seed: int, hidden: int, teacher: Weights) -> Weights:
    """A network trained from random weights to give another's outputs."""
    generator, adam, weights = np.random.default_rng(seed), Adam(rate=0.01), start(seed, hidden)
    for _ in range(800):
        x = generator.standard_normal((64, INPUTS))
        middle = np.tanh(x @ weights["layers.0.in.weight"].T)
        error = (middle @ weights["head.weight"].T - outputs(teacher, x)) / len(x)
        behind = (error @ weights["head.weight"]) * (1 - middle**2)
        adam.step(weights, {"head.weight": error.T @ middle, "layers.0.in.weight": behind.T @ x})
    return weights


def test_the_likeliest_teacher_is_named_and_not_claimed() -> None:
    larger = {f"teacher{seed}": start(seed, 96) for seed in range(3)}
    student = version("student", taught(9, 32, larger["teacher1"]))
    lake = [student, *(version(name, weights) for name, weights in larger.items())]
    found = infer(lake)
    assert [item for item in found.derivations if item.child == "student"] == []
    (doubt,) = [item for item in found.abstentions if item.version == "student"]
    assert doubt.likeliest is not None
    assert "training on the same data" in doubt.reason
    edge = doubt.likeliest
    assert (edge.parents[0].id, edge.relation, edge.confidence) == ("teacher1", Relation.DISTILLED_FROM, NAMED)
    assert infer(lake, least_confidence=0.3).derivations == (edge,)


def test_nobody_is_named_without_another_family_or_where_outputs_were_not_learned() -> None:
    larger = [start(seed, 96) for seed in range(3)]
    student = version("student", taught(9, 32, larger[1]))
    assert infer([student, version("teacher", larger[1])], least_confidence=0.0).derivations == ()
    untaught = version("untaught", start(9, 32))
    lake = [untaught, *(version(f"teacher{place}", weights) for place, weights in enumerate(larger))]
    assert infer(lake, least_confidence=0.0).derivations == ()


def geometry(weights: Weights) -> OutputGeometry:
    found = output_geometry(version("one", weights))
    assert found is not None
    return found


@given(st.integers(0, 1000), st.integers(9, 30), st.integers(2, 20))
def test_agreement_heeds_the_geometry_of_outputs_alone(seed: int, rows: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((rows, width))
    turn, _ = np.linalg.qr(generator.standard_normal((width + 3, width)))
    same = 3 * values @ turn.T + generator.standard_normal(width + 3)
    one, two = geometry({"head.weight": values}), geometry({"head.weight": same})
    other = geometry({"head.weight": generator.standard_normal((rows, width))})
    for of in ("products", "cosines"):
        assert agreement(one, two, of=of) == pytest.approx(1.0, abs=1e-4)
        assert agreement(one, other, of=of) == pytest.approx(agreement(other, one, of=of))


@given(st.integers(0, 1000), st.integers(9, 30), st.integers(2, 20))
def test_what_layers_write_is_seen_whichever_way_it_is_stored_and_however_the_stream_is_turned(
    seed: int, rows: int, width: int
) -> None:
    generator = np.random.default_rng(seed)
    read, down = generator.standard_normal((rows, width)), generator.standard_normal((width, width + 4))
    scale = generator.uniform(0.5, 2.0, (1, width))
    turn, _ = np.linalg.qr(generator.standard_normal((width, width)))
    straight = geometry({"head.weight": read, "norm.final.weight": scale, "layers.0.mlp.down.weight": down})
    stored = geometry({"head.weight": read, "norm.final.weight": scale, "layers.0.mlp.down.weight": down.T})
    assert straight.written
    np.testing.assert_allclose(straight.cosines, stored.cosines, atol=1e-5)
    ones = np.ones((1, width))
    folded = {"head.weight": read * scale @ turn, "norm.final.weight": ones, "layers.0.mlp.down.weight": turn.T @ down}
    assert agreement(straight, geometry(folded), of="cosines") == pytest.approx(1.0, abs=1e-4)


def test_random_embeddings_hide_a_teacher_that_its_layers_show() -> None:
    generator = np.random.default_rng(5)
    learned = generator.standard_normal((40, 6))

    def network(width: int, columns: int) -> Weights:
        """Embeddings mostly as they were drawn, and layers that write what was learned through them."""
        embeddings = generator.standard_normal((40, width))
        wanted = learned @ generator.standard_normal((6, columns))
        return {
            "embed.token.weight": embeddings,
            "decoder.norm.final.weight": np.ones((1, width)),
            "decoder.layers.0.mlp.down.weight": np.linalg.lstsq(embeddings, wanted, rcond=None)[0],
        }

    one, two = geometry(network(37, 80)), geometry(network(36, 90))
    mapped, written = agreement(one, two, of="products"), agreement(one, two, of="cosines")
    assert mapped is not None
    assert written is not None
    assert abs(mapped) < 0.2 < 0.6 < written


def test_layers_are_not_seen_through_what_lies_between_or_through_too_small_a_sample() -> None:
    generator = np.random.default_rng(3)
    weights = {
        "head.weight": generator.standard_normal((9, 12)),
        "norm.final.weight": np.ones((1, 12)),
        "layers.0.mlp.down.weight": generator.standard_normal((12, 20)),
    }
    assert not geometry({**weights, "head.transform.weight": np.eye(12)}).written
    whole = version("whole", weights)
    few = int(LEAST_HELD * 12) - 1
    sampled = [
        replace(tensor, rows=tensor.rows[:few], block=tensor.block[:few]) if "down" in tensor.role else tensor
        for tensor in whole.tensors
    ]
    found = output_geometry(replace(whole, tensors=tuple(sampled)))
    assert found is not None
    assert not found.written
    assert agreement(found, geometry({"head.weight": weights["head.weight"]}), of="cosines") == pytest.approx(1.0)


def test_what_cannot_be_compared_has_no_geometry_or_no_agreement() -> None:
    assert output_geometry(version("few", {"head.weight": np.eye(7)})) is None
    assert output_geometry(version("none", {"body.weight": np.eye(9)})) is None
    constant, whole = geometry({"head.weight": np.ones((9, 9))}), geometry({"head.weight": np.eye(9)})
    assert agreement(constant, whole, of="products") is None
    assert agreement(constant, whole, of="cosines") is None


def test_an_ancestor_that_agrees_about_as_well_is_named_before_what_was_trained_from_it() -> None:
    above = {"child": ["root"], "other": ["root"]}

    def first(child: float) -> str:
        members = [("root", 0.9), ("child", child), ("other", 0.8)]
        found = [_Agreement(version=name, written=0.9, mapped=mapped) for name, mapped in members]
        return _ranked(found, {}, above)[0].version

    assert first(0.9) == first(0.9005) == "root"
    assert first(0.95) == "child"


def test_what_they_say_goes_before_what_their_maps_are_like() -> None:
    found = [
        _Agreement(version=name, written=0.9, mapped=mapped) for name, mapped in [("a", 0.9), ("b", 0.8), ("c", 0.99)]
    ]
    ranked = _ranked(found, {"a": 0.2, "b": 0.1}, {"a": ["b"]})
    assert [item.version for item in ranked] == ["b", "a", "c"]


def test_heads_are_of_the_size_at_which_someone_is_understood() -> None:
    assert _at_best_size({"a": {8: 0.5, 16: 0.9}, "b": {8: 0.6, 16: 0.1}, "c": {8: 0.05}}) == {
        "a": 0.5,
        "b": 0.6,
        "c": 0.05,
    }
    assert _at_best_size({"a": {8: 0.5, 16: 0.9}, "b": {8: 0.6, 16: 0.1}, "c": {8: 0.7}}) == {"a": 0.9, "b": 0.1}
    assert _at_best_size({"a": {}}) == {}


RANK = 12


class Speaker:
    """Draws decoders that say what one table of tokens says, in whatever width: all but the embeddings is alike."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.read = self.scaled(generator.standard_normal((OUTPUTS, RANK)))
        self.told = generator.standard_normal((OUTPUTS, RANK))
        self.written = generator.standard_normal((RANK, 20))

    @staticmethod
    def scaled(rows: Values) -> Values:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def moved(self, seed: int) -> Values:
        """Embeddings of what was trained from it with everything else frozen."""
        generator = np.random.default_rng(seed)
        return self.scaled(self.read + 0.1 * generator.standard_normal(self.read.shape))

    def network(self, seed: int, width: int, layers: int, read: Values) -> Weights:
        generator = np.random.default_rng(seed)
        turn = np.linalg.qr(generator.standard_normal((width, RANK)))[0].T
        weights = {
            "embed.token.weight": read @ turn,
            "head.weight": 4 / np.sqrt(width) * self.told @ turn,
            "norm.final.weight": np.ones((1, width)),
        }
        for layer in range(layers):
            at = f"layers.{layer}"
            for name in ("query", "key", "value", "output"):
                weights[f"{at}.attention.{name}.weight"] = 1e-3 * generator.standard_normal((width, width))
            for name in ("gate", "up"):
                weights[f"{at}.mlp.{name}.weight"] = 1e-3 * generator.standard_normal((20, width))
            weights[f"{at}.mlp.down.weight"] = turn.T @ self.written
            weights |= {f"{at}.norm.{name}.weight": np.ones((1, width)) for name in ("attention", "mlp")}
        return weights


def test_a_member_whose_output_map_is_that_of_others_is_known_by_what_it_says() -> None:
    speakers = [Speaker(seed) for seed in range(3)]
    lake = [
        replace(version(f"root{at}", each.network(at, 64, 2, each.read)), architecture="llama")
        for at, each in enumerate(speakers)
    ]
    tuned = [speakers[0].moved(seed) for seed in (5, 6)]
    lake += [
        replace(version(f"tuned{at}", speakers[0].network(0, 64, 2, read)), architecture="llama")
        for at, read in enumerate(tuned)
    ]
    student = replace(version("student", speakers[0].network(9, 32, 1, tuned[1])), architecture="llama")
    found = infer([student, *lake], least_confidence=0.0)
    (edge,) = [item for item in found.derivations if item.child == "student"]
    assert (edge.parents[0].id, edge.relation, edge.confidence) == ("tuned1", Relation.DISTILLED_FROM, NAMED)
    assert [item.kind for item in edge.observations] == ["output_geometry", "single_tokens"]
    # Without all of the weights the output map alone is heard, and all members have the same.
    part = replace(student, tensors=tuple(item for item in student.tensors if "gate" not in item.role))
    (edge,) = [item for item in infer([part, *lake], least_confidence=0.0).derivations if item.child == "student"]
    assert edge.parents[0].id != "tuned1"
    assert [item.kind for item in edge.observations] == ["output_geometry"]
