"""Networks in the shapes of every architecture, trained on and laundered, as matrices by role."""

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.aligning import Network, mapped_matrices
from lineage.symmetry.couplings import Coupling, Shape, matrix_shape, symmetries_of
from lineage.symmetry.matching import UnitMap

Weights = dict[str, NDArray[np.float32]]

WIDTH, NEURONS = 48, 64
HEADS = 4


def shapes_of(architecture: str) -> dict[str, Shape]:
    """Shapes by role, as small as the architecture allows."""
    square, found = (WIDTH, WIDTH), dict[str, Shape]()
    if architecture == "resnet":
        for block in range(2):
            at = f"stages.0.{block}"
            found |= {f"{at}.convolution{k}.weight": (WIDTH, WIDTH, 3, 3) for k in range(2)}
            found |= {f"{at}.norm0.{part}": (WIDTH,) for part in ("weight", "bias", "running_mean", "running_var")}
        return found | {"stem.convolution.weight": (WIDTH, 3, 7, 7)}
    found["embed.token.weight"] = (120, WIDTH)
    stacks = ("encoder.", "decoder.") if architecture == "t5" else ("",)
    for stem in (f"{stack}layers.{layer}" for stack in stacks for layer in range(2)):
        attention, unit = f"{stem}.attention", f"{stem}.mlp"
        if architecture == "gpt2":
            found |= {f"{attention}.query_key_value.weight": (WIDTH, 3 * WIDTH), f"{attention}.output.weight": square}
            found |= {f"{attention}.query_key_value.bias": (3 * WIDTH,), f"{unit}.up.bias": (NEURONS,)}
            found |= {f"{unit}.up.weight": (WIDTH, NEURONS), f"{unit}.down.weight": (NEURONS, WIDTH)}
        else:
            narrow = (WIDTH // 2, WIDTH) if architecture == "llama" else square
            found |= {f"{attention}.query.weight": square, f"{attention}.output.weight": square}
            found |= {f"{attention}.key.weight": narrow, f"{attention}.value.weight": narrow}
            found |= {f"{unit}.up.weight": (NEURONS, WIDTH), f"{unit}.down.weight": (WIDTH, NEURONS)}
            if architecture == "llama":
                found[f"{unit}.gate.weight"] = (NEURONS, WIDTH)
            elif architecture != "t5":
                found |= {f"{attention}.{part}.bias": (WIDTH,) for part in ("query", "key", "value")}
                found[f"{unit}.up.bias"] = (NEURONS,)
        found |= {f"{stem}.norm.attention.weight": (WIDTH,), f"{stem}.norm.mlp.weight": (WIDTH,)}
    found["head.weight"] = (120, WIDTH)
    return found | {"norm.final.weight": (WIDTH,)}


ARCHITECTURES = ("llama", "gpt2", "bert", "vit", "resnet", "t5")


def network(architecture: str, seed: int, *, step: float = 0.0, tune: int = 0) -> Network:
    """Random weights; with a step, moved at random from there."""
    shapes = shapes_of(architecture)
    generator, later = np.random.default_rng(seed), np.random.default_rng((seed, tune))
    matrices = {}
    for role, shape in shapes.items():
        values = generator.standard_normal(prod(shape)) * (0.1 if "norm" in role else 0.05)
        values = values + (1.0 if "norm" in role and "weight" in role else 0.0)
        values = values + step * 0.05 * later.standard_normal(values.size)
        matrices[role] = values.reshape(matrix_shape(shape))
    return Network(matrices=matrices, shapes=shapes, symmetries=symmetries_of(architecture, shapes))


def laundering(network: Network, seed: int, *, permuted: bool = True, rescaled: bool = True) -> list[UnitMap]:
    """Draws for every coupling: what the benchmark's lakes do."""
    generator = np.random.default_rng(seed)
    maps = []
    for coupling in network.symmetries.all:
        if coupling.kind == "queries of a group":
            continue
        units = _units(coupling)
        order = generator.permutation(units) if permuted and coupling.permutable else np.arange(units)
        scale = None
        if rescaled and coupling.scalable:
            scale = np.exp(generator.uniform(-0.7, 0.7, units))
            if coupling.signed and not coupling.kind.endswith("mlp"):
                scale = scale * generator.choice([-1.0, 1.0], units)
        maps.append(UnitMap(coupling=coupling, units=units, order=order, scale=scale))
    return maps


def _units(coupling: Coupling) -> int:
    if len(coupling.candidates) == 1:
        return coupling.candidates[0]
    return max(count for count in coupling.candidates if count <= HEADS)


def laundered(network: Network, seed: int, *, permuted: bool = True, rescaled: bool = True) -> Network:
    maps = laundering(network, seed, permuted=permuted, rescaled=rescaled)
    single = {role: values.astype(np.float32).astype(float) for role, values in network.matrices.items()}
    return replace(network, matrices=mapped_matrices(single, maps))


def turned(network: Network, seed: int) -> Network:
    """The residual stream turned, the gains of the norms folded into the maps behind them."""
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((WIDTH, WIDTH)))
    matrices = dict(network.matrices)
    for coupling in network.symmetries.norms:
        gain = matrices[coupling.slots[0].role]
        for slot in coupling.slots:
            if slot.power < 0:
                matrices[slot.role] = (matrices[slot.role] * gain) @ turn
        matrices[coupling.slots[0].role] = np.ones_like(gain)
    rotation = network.symmetries.rotation
    assert rotation is not None
    for role in rotation.writers:
        matrices[role] = turn.T @ matrices[role]
    matrices["embed.token.weight"] = matrices["embed.token.weight"] @ turn
    single = {role: values.astype(np.float32).astype(float) for role, values in matrices.items()}
    return replace(network, matrices=single)


def names(weights: Network) -> Weights:
    """Under the names of the llama family, so that fingerprints find the roles again."""
    words = {
        "embed.token": "model.embed_tokens",
        "head": "lm_head",
        "norm.final": "model.norm",
        "norm.attention": "input_layernorm",
        "norm.mlp": "post_attention_layernorm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "mlp.gate": "mlp.gate_proj",
        "mlp.up": "mlp.up_proj",
        "mlp.down": "mlp.down_proj",
    }
    named = {}
    for role, values in weights.matrices.items():
        stem = role.removesuffix(".weight")
        prefix, _, rest = stem.partition("layers.")
        layer, _, part = rest.partition(".")
        name = f"model.layers.{layer}.{words[part]}.weight" if rest else f"{words[prefix]}.weight"
        named[name] = values.reshape(weights.shapes[role]).astype(np.float32)
    return named
