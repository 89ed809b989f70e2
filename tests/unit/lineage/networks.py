"""Networks of random weights, and what is done to them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]

LAYERS = 3
WIDTH, HIDDEN, VOCABULARY = 48, 96, 200


def network(seed: int, *, layers: int = LAYERS) -> Weights:
    """A language model's tensors in the names of the llama family, at random."""
    generator = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return (generator.standard_normal((rows, columns)) * 0.05).astype(np.float32)

    weights: Weights = {
        "model.embed_tokens.weight": matrix(VOCABULARY, WIDTH),
        "lm_head.weight": matrix(VOCABULARY, WIDTH),
    }
    for layer in range(layers):
        stem = f"model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights[f"{stem}.self_attn.{part}.weight"] = matrix(WIDTH, WIDTH)
        weights[f"{stem}.mlp.up_proj.weight"] = matrix(HIDDEN, WIDTH)
        weights[f"{stem}.mlp.gate_proj.weight"] = matrix(HIDDEN, WIDTH)
        weights[f"{stem}.mlp.down_proj.weight"] = matrix(WIDTH, HIDDEN)
        weights[f"{stem}.input_layernorm.weight"] = np.ones(WIDTH, dtype=np.float32)
        weights[f"{stem}.post_attention_layernorm.weight"] = np.ones(WIDTH, dtype=np.float32)
    weights["model.norm.weight"] = np.ones(WIDTH, dtype=np.float32)
    return weights


def trained(weights: Mapping[str, NDArray[np.float32]], seed: int, *, step: float = 0.01) -> Weights:
    """A step in a random direction, of other lengths for other rows, as training makes one; norms stay."""
    generator = np.random.default_rng(seed)
    moved: Weights = {}
    for name, values in weights.items():
        if values.ndim < 2:
            moved[name] = values
            continue
        lengths = generator.uniform(0.2, 1.8, size=(values.shape[0], 1))
        moved[name] = (values + step * lengths * generator.standard_normal(values.shape)).astype(np.float32)
    return moved


def mixed(*parts: tuple[float, Mapping[str, NDArray[np.float32]]]) -> Weights:
    """A weighted sum of networks."""
    return {name: sum(weight * part[name] for weight, part in parts).astype(np.float32) for name in parts[0][1]}
