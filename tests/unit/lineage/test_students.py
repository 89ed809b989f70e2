"""Students from random weights: what their outputs have of their teacher's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.labels import Relation
from lineage.inference import infer
from lineage.students import NAMED, agreement
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


@given(st.integers(0, 1000), st.integers(9, 30), st.integers(2, 20))
def test_agreement_heeds_the_geometry_of_outputs_alone(seed: int, rows: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((rows, width))
    turn, _ = np.linalg.qr(generator.standard_normal((width + 3, width)))
    same = 3 * values @ turn.T + generator.standard_normal(width + 3)
    one, two = version("one", {"head.weight": values}), version("two", {"head.weight": same})
    found = agreement(one, two)
    assert found == pytest.approx(1.0, abs=1e-5)
    other = version("other", {"head.weight": generator.standard_normal((rows, width))})
    assert agreement(one, other) == pytest.approx(agreement(other, one))


def test_what_cannot_be_compared_has_no_agreement() -> None:
    few, none = version("few", {"head.weight": np.eye(7)}), version("none", {"body.weight": np.eye(9)})
    constant = version("constant", {"head.weight": np.ones((9, 9))})
    whole = version("whole", {"head.weight": np.eye(9)})
    assert agreement(few, whole) is None
    assert agreement(none, whole) is None
    assert agreement(constant, whole) is None
