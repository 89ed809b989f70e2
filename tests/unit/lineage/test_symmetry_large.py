"""A model too large for its fingerprint to hold: sampled blocks make it suspect, its weights confirm."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from graph_schema.errors import FormatError
from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from graph_schema.labels import Relation
from ingest.fingerprint.roles import assign_roles
from lineage.inference import infer

Weights = dict[str, NDArray[np.float32]]

WIDTH, NEURONS, HEADS, VOCABULARY = 384, 1024, 6, 300
ATTENTION, UNIT = "model.layers.0.self_attn", "model.layers.0.mlp"


def llama(seed: int) -> Weights:
    generator = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return (generator.standard_normal((rows, columns)) * 0.03).astype(np.float32)

    return {
        "model.embed_tokens.weight": matrix(VOCABULARY, WIDTH),
        "lm_head.weight": matrix(VOCABULARY, WIDTH),
        **{f"{ATTENTION}.{part}_proj.weight": matrix(WIDTH, WIDTH) for part in "qkvo"},
        f"{UNIT}.gate_proj.weight": matrix(NEURONS, WIDTH),
        f"{UNIT}.up_proj.weight": matrix(NEURONS, WIDTH),
        f"{UNIT}.down_proj.weight": matrix(WIDTH, NEURONS),
        "model.layers.0.input_layernorm.weight": (1 + 0.1 * generator.standard_normal(WIDTH)).astype(np.float32),
        "model.layers.0.post_attention_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
        "model.norm.weight": np.ones(WIDTH, dtype=np.float32),
    }


def trained(weights: Weights, seed: int) -> Weights:
    generator = np.random.default_rng(seed)
    return {
        name: (values + 0.003 * generator.standard_normal(values.shape)).astype(np.float32)
        for name, values in weights.items()
    }


def laundered(weights: Weights, seed: int) -> Weights:
    generator = np.random.default_rng(seed)
    moved = dict(weights)
    neurons, scale = generator.permutation(NEURONS), np.exp(generator.uniform(-0.7, 0.7, NEURONS))
    scale = (scale * generator.choice([-1, 1], NEURONS)).astype(np.float32)
    moved[f"{UNIT}.gate_proj.weight"] = weights[f"{UNIT}.gate_proj.weight"][neurons]
    moved[f"{UNIT}.up_proj.weight"] = weights[f"{UNIT}.up_proj.weight"][neurons] * scale[:, None]
    moved[f"{UNIT}.down_proj.weight"] = weights[f"{UNIT}.down_proj.weight"][:, neurons] / scale
    heads = generator.permutation(HEADS)
    rows = (heads[:, None] * (WIDTH // HEADS) + np.arange(WIDTH // HEADS)).ravel()
    for part in "qkv":
        moved[f"{ATTENTION}.{part}_proj.weight"] = moved[f"{ATTENTION}.{part}_proj.weight"][rows]
    moved[f"{ATTENTION}.o_proj.weight"] = moved[f"{ATTENTION}.o_proj.weight"][:, rows]
    return moved


class AtHand:
    """Weights in memory, as the inference asks for them."""

    def __init__(self, versions: dict[str, Weights]) -> None:
        self._versions = versions
        self.read = 0

    def has(self, version: str) -> bool:
        return version in self._versions

    def matrix(self, version: str, tensor: TensorFingerprint) -> NDArray[np.floating]:
        self.read += 1
        weights = self._versions[version]
        roles = assign_roles(sorted(weights)).roles
        if tensor.role not in roles.values():
            raise FormatError("no such tensor", where=tensor.role)
        return next(weights[name] for name, role in roles.items() if role == tensor.role)


@pytest.fixture(scope="module")
def lake(taken: Callable[[Weights], Fingerprint]) -> dict[str, tuple[Weights, Fingerprint]]:
    root = llama(0)
    weights = {"root": root, "a": trained(root, 1), "b": trained(root, 2)}
    weights["copy"] = laundered(weights["a"], 3)
    weights["tuned copy"] = laundered(trained(weights["b"], 4), 5)
    weights["stranger"] = llama(9)
    return {name: (item, taken(item)) for name, item in weights.items()}


def test_samples_alone_do_not_hold_the_layers(lake: dict[str, tuple[Weights, Fingerprint]]) -> None:
    roles = lake["root"][1].by_role()
    assert not roles["layers.0.mlp.up.weight"].whole
    assert not roles["layers.0.attention.query.weight"].whole


def test_weights_confirm_a_copy_and_a_laundered_fine_tune(lake: dict[str, tuple[Weights, Fingerprint]]) -> None:
    weights = AtHand({fingerprint.version: item for item, fingerprint in lake.values()})
    names = {fingerprint.version: name for name, (_, fingerprint) in lake.items()}
    found = infer([fingerprint for _, fingerprint in lake.values()], weights=weights, least_confidence=0.0)
    parents = {names[item.child]: (names[item.parents[0].id], item.relation) for item in found.derivations}
    assert parents["copy"] == ("a", Relation.REPARAMETRIZED_FROM)
    assert parents["tuned copy"] == ("b", Relation.FINE_TUNED_FROM)
    assert "stranger" not in parents
    notes = [note for item in found.derivations if names[item.child] == "tuned copy" for note in item.observations]
    assert any(note.kind == "laundered" and note.value is not None and note.value < -100 for note in notes)
    assert weights.read


def test_clean_models_are_not_opened_again(lake: dict[str, tuple[Weights, Fingerprint]]) -> None:
    clean = {name: lake[name] for name in ("root", "a", "b", "stranger")}
    weights = AtHand({fingerprint.version: item for item, fingerprint in clean.values()})
    infer([fingerprint for _, fingerprint in clean.values()], weights=weights)
    assert weights.read == 0


def test_weights_that_cannot_be_read_confirm_nothing(lake: dict[str, tuple[Weights, Fingerprint]]) -> None:
    empty = AtHand(
        {fingerprint.version: {"other.weight": np.ones((2, 2), np.float32)} for _, fingerprint in lake.values()}
    )
    fingerprints = [fingerprint for _, fingerprint in lake.values()]
    assert infer(fingerprints, weights=empty) == infer(fingerprints)
