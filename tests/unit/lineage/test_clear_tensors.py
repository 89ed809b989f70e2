"""Families that were rescaled, in architectures of which some matrices bear no scale: by those they are read."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.derivation import Derivation
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.inference import infer
from lineage.link_weights import measured
from lineage.measured_roles import LEAST_CLEAR, clear_tensors, measured_roles
from lineage.relatedness import kinship
from lineage.symmetry.aligning import Network
from lineage.symmetry.frame import CommonFrame, common_frame
from tests.unit.lineage.numpy_training import version
from tests.unit.lineage.symmetric_networks import Weights, laundered, network

Take = Callable[[Weights], Fingerprint]

WORDS = {
    "embed.token": "bert.embeddings.word_embeddings",
    "norm.attention": "attention.output.LayerNorm",
    "norm.mlp": "output.LayerNorm",
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
}


def names(weights: Network) -> Weights:
    """As a BERT calls its tensors."""
    named = {}
    for role, values in weights.matrices.items():
        stem, _, kind = role.rpartition(".")
        _, _, rest = stem.partition("layers.")
        layer, _, part = rest.partition(".")
        known = WORDS.get(part or stem)
        if known is not None:
            name = f"bert.encoder.layer.{layer}.{known}.{kind}" if rest else f"{known}.{kind}"
            named[name] = values.reshape(weights.shapes[role]).astype(np.float32)
    return named


def learned(parent: Network, seed: int) -> Network:
    """A change of few directions, and noise that is far smaller: what plain gradient descent leaves."""
    generator = np.random.default_rng(seed)

    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rows, columns = values.shape
        signal = generator.standard_normal((rows, 2)) @ generator.standard_normal((2, columns))
        return values + 0.01 * signal + 1e-5 * generator.standard_normal(values.shape)

    return replace(parent, matrices={role: moved(values) for role, values in parent.matrices.items()})


def lake() -> dict[str, Network]:
    root = network("bert", 1)
    found = {"root": root, "a": learned(root, 2), "b": learned(root, 3)}
    found["c"] = learned(found["a"], 4)
    found["d"] = learned(found["c"], 5)
    return found


def framed(taken: Take, networks: dict[str, Network]) -> tuple[CommonFrame, dict[str, Fingerprint]]:
    """The common frame of some networks, and each as it is there."""
    members = {name: taken(names(item)) for name, item in networks.items()}
    words = {item.version: name for name, item in members.items()}
    ordered = sorted(members.values(), key=lambda item: item.version)
    frame = common_frame(ordered, kinship(ordered).correlation.astype(np.float64))
    return frame, {words[item.version]: item for item in frame.members}


def test_tails_are_the_same_where_all_were_rescaled(taken: Take) -> None:
    plain = lake()
    moved = {name: laundered(item, seed) for seed, (name, item) in enumerate(plain.items())}
    (clean, before), (frame, after) = framed(taken, plain), framed(taken, moved)
    assert not clean.blurred
    assert {role.split(".")[-2] for role in frame.blurred} == {"value", "output"}
    roles = sorted(measured_roles(list(after.values()), frame.blurred))
    assert {role.split(".")[-2] for role in roles} == {"query", "key", "up", "down"}
    pairs = [(0, 1), (1, 3), (3, 4), (0, 2), (1, 2)]
    one, two = (measured([side[name] for name in plain], pairs, roles) for side in (before, after))
    np.testing.assert_allclose(one.tail, two.tail, rtol=1e-3)
    blurred = [role for role in measured_roles(list(after.values())) if role in frame.blurred]
    one, two = (measured([side[name] for name in plain], pairs, blurred) for side in (before, after))
    # How a scale is divided between two matrices is a choice, the same for all members.
    assert np.all(np.abs(np.log((one.tail / one.tail[0]) / (two.tail / two.tail[0]))) < np.log(2.0))


def told(networks: dict[str, Network], taken: Take, start: int) -> tuple[dict[str, str], dict[str, Derivation]]:
    """The names of versions, and what is said of each by name, once all of a lake were laundered."""
    members = {
        name: taken(names(laundered(item, start + seed))) for seed, (name, item) in enumerate(sorted(networks.items()))
    }
    words = {item.version: name for name, item in members.items()}
    found = infer(list(members.values()), least_confidence=0.0).derivations
    return words, {words[item.child]: item for item in found}


def test_copies_and_merges_are_found_where_all_were_rescaled(taken: Take) -> None:
    networks = lake()
    cast = {role: item.astype(np.float16).astype(np.float64) for role, item in networks["d"].matrices.items()}
    networks["cast"] = replace(networks["d"], matrices=cast)
    parts = networks["b"].matrices, networks["c"].matrices
    mean = {role: 0.3 * item + 0.7 * parts[1][role] for role, item in parts[0].items()}
    networks["merged"] = replace(networks["b"], matrices=mean)
    words, found = told(networks, taken, 30)
    assert found["cast"].relation is Relation.QUANTIZED_FROM
    assert [words[item.id] for item in found["cast"].parents] == ["d"]
    weights = {words[item.id]: item.weight for item in found["merged"].parents}
    assert weights == {"b": pytest.approx(0.3, abs=1e-3), "c": pytest.approx(0.7, abs=1e-3)}


def test_what_was_pruned_beside_its_clear_matrices_is_a_copy(taken: Take) -> None:
    networks = lake()
    pruned = dict(networks["d"].matrices)
    for role in [role for role in pruned if ".value." in role]:
        pruned[role] = pruned[role].copy()
        pruned[role][:16] = 0.0
    networks["pruned"] = replace(networks["d"], matrices=pruned)
    words, found = told(networks, taken, 70)
    assert found["pruned"].relation is Relation.PRUNED_FROM
    assert [words[item.id] for item in found["pruned"].parents] == ["d"]


def test_what_was_trained_beside_its_clear_matrices_is_no_copy(taken: Take) -> None:
    networks = lake()
    clear = ("query", "key", "up", "down")
    tuned = learned(networks["d"], 9).matrices
    rounded = {
        role: item.astype(np.float16).astype(np.float64) if role.split(".")[-2] in clear else tuned[role]
        for role, item in networks["d"].matrices.items()
    }
    networks["partly"] = replace(networks["d"], matrices=rounded)
    _, found = told(networks, taken, 50)
    assert all(item.relation is not Relation.QUANTIZED_FROM for item in found.values())


@given(blurred=st.sets(st.integers(0, 5)), count=st.integers(1, 6))
def test_tensors_are_left_out_only_where_enough_matrices_stay(blurred: set[int], count: int) -> None:
    generator = np.random.default_rng(0)
    item = version("v", {f"layers.{place}.w": generator.standard_normal((4, 4)) for place in range(count)})
    roles = {f"layers.{place}.w" for place in blurred}
    (left,) = clear_tensors([item], roles)
    kept = [tensor.role for tensor in left.tensors]
    if len({tensor.role for tensor in item.tensors} - roles) < LEAST_CLEAR or not roles:
        assert left is item
    else:
        assert not roles & set(kept)
        assert len(kept) >= LEAST_CLEAR
