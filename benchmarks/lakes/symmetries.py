"""Symmetries: which axes of which tensors can be permuted or rescaled without changing what a model computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Configuration = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One axis of one tensor.

    Attributes
    ----------
    name : str
        Tensor.
    axis : int
    block : int
        Consecutive indices that make one unit: 1 for a neuron, the head's size for a head.
    offset : int
        Where the units start on the axis, for tensors that hold several matrices side by side.
    power : int
        A rescaling by s multiplies the units by s ** power; 0 leaves them alone.
    """

    name: str
    axis: int
    block: int = 1
    offset: int = 0
    power: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """Axes whose units belong together.

    Attributes
    ----------
    units : int
        Neurons, heads or channels.
    members : tuple of Member
    permutable, scalable : bool
        Which of the two leave the function alone.
    signed : bool
        Whether negative scales do as well.
    """

    units: int
    members: tuple[Member, ...]
    permutable: bool = True
    scalable: bool = False
    signed: bool = False


def llama(config: Configuration) -> Sequence[Coupling]:
    """Neurons of the gated unit, groups of heads that share keys, and the norms before each linear map."""
    hidden, neurons = config["hidden_size"], config["intermediate_size"]
    groups = config["num_key_value_heads"]
    head = hidden // config["num_attention_heads"]
    wide = head * config["num_attention_heads"] // groups
    found: list[Coupling] = []
    for layer in range(config["num_hidden_layers"]):
        attention, unit = f"model.layers.{layer}.self_attn", f"model.layers.{layer}.mlp"
        norms = f"model.layers.{layer}.input_layernorm.weight", f"model.layers.{layer}.post_attention_layernorm.weight"
        found += [
            Coupling(
                units=neurons,
                scalable=True,
                signed=True,
                members=(
                    Member(name=f"{unit}.gate_proj.weight", axis=0),
                    Member(name=f"{unit}.up_proj.weight", axis=0, power=1),
                    Member(name=f"{unit}.down_proj.weight", axis=1, power=-1),
                ),
            ),
            Coupling(
                units=groups,
                scalable=True,
                members=(
                    Member(name=f"{attention}.q_proj.weight", axis=0, block=wide),
                    Member(name=f"{attention}.k_proj.weight", axis=0, block=head),
                    Member(name=f"{attention}.v_proj.weight", axis=0, block=head, power=1),
                    Member(name=f"{attention}.o_proj.weight", axis=1, block=wide, power=-1),
                ),
            ),
            _norm(hidden, [norms[0]], [f"{attention}.{x}_proj.weight" for x in "qkv"]),
            _norm(hidden, [norms[1]], [f"{unit}.gate_proj.weight", f"{unit}.up_proj.weight"]),
        ]
    return found


def gpt2(config: Configuration) -> Sequence[Coupling]:
    """Neurons, heads and norms; the linear maps are stored input first, queries, keys and values side by side."""
    hidden, heads = config["n_embd"], config["n_head"]
    head, found = hidden // heads, []
    for layer in range(config["n_layer"]):
        at = f"transformer.h.{layer}"
        packed = [
            Member(name=f"{at}.attn.c_attn.{part}", axis=axis, block=head, offset=hidden * place, power=int(place == 2))
            for part, axis in (("weight", 1), ("bias", 0))
            for place in range(3)
        ]
        found += [
            Coupling(
                units=4 * hidden,
                members=(
                    Member(name=f"{at}.mlp.c_fc.weight", axis=1),
                    Member(name=f"{at}.mlp.c_fc.bias", axis=0),
                    Member(name=f"{at}.mlp.c_proj.weight", axis=0),
                ),
            ),
            Coupling(
                units=heads,
                scalable=True,
                signed=True,
                members=(*packed, Member(name=f"{at}.attn.c_proj.weight", axis=0, block=head, power=-1)),
            ),
            _norm(hidden, [f"{at}.ln_1.weight", f"{at}.ln_1.bias"], [f"{at}.attn.c_attn.weight"], axis=0),
            _norm(hidden, [f"{at}.ln_2.weight", f"{at}.ln_2.bias"], [f"{at}.mlp.c_fc.weight"], axis=0),
        ]
    return found


def bert(config: Configuration) -> Sequence[Coupling]:
    """Neurons and heads; the norms come after the sums, so that nothing can be moved across them."""
    found: list[Coupling] = []
    for layer in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{layer}"
        maps = tuple(f"{at}.attention.self.{x}" for x in ("query", "key", "value"))
        found += _encoder_layer(
            config, maps, f"{at}.attention.output.dense", f"{at}.intermediate.dense", f"{at}.output.dense"
        )
    return found


def vit(config: Configuration) -> Sequence[Coupling]:
    """Neurons, heads, and the norms before each linear map."""
    hidden = config["hidden_size"]
    found: list[Coupling] = []
    for layer in range(config["num_hidden_layers"]):
        at = f"vit.layers.{layer}"
        maps = tuple(f"{at}.attention.{x}_proj" for x in "qkv")
        found += _encoder_layer(config, maps, f"{at}.attention.o_proj", f"{at}.mlp.fc1", f"{at}.mlp.fc2")
        found += [
            _norm(
                hidden,
                [f"{at}.layernorm_before.weight", f"{at}.layernorm_before.bias"],
                [f"{name}.weight" for name in maps],
            ),
            _norm(
                hidden,
                [f"{at}.layernorm_after.weight", f"{at}.layernorm_after.bias"],
                [f"{at}.mlp.fc1.weight"],
            ),
        ]
    return found


def t5(config: Configuration) -> Sequence[Coupling]:
    """Neurons and norms; the heads of all layers share one position bias and stay where they are."""
    hidden = config["d_model"]
    found: list[Coupling] = []
    for stack, count, last in (("encoder", "num_layers", 1), ("decoder", "num_decoder_layers", 2)):
        for layer in range(config[count]):
            at = f"{stack}.block.{layer}.layer"
            unit = f"{at}.{last}.DenseReluDense"
            found += [
                Coupling(
                    units=config["d_ff"],
                    scalable=True,
                    members=(
                        Member(name=f"{unit}.wi.weight", axis=0, power=1),
                        Member(name=f"{unit}.wo.weight", axis=1, power=-1),
                    ),
                ),
                _norm(
                    hidden,
                    [f"{at}.0.layer_norm.weight"],
                    [f"{at}.0.SelfAttention.{x}.weight" for x in "qkv"],
                ),
                _norm(hidden, [f"{at}.{last}.layer_norm.weight"], [f"{unit}.wi.weight"]),
            ]
    return found


def resnet(config: Configuration) -> Sequence[Coupling]:
    """Channels inside each basic block: the first convolution with its norm, and the input of the second."""
    found: list[Coupling] = []
    for stage, (channels, depth) in enumerate(zip(config["hidden_sizes"], config["depths"], strict=True)):
        for block in range(depth):
            at = f"resnet.encoder.stages.{stage}.layers.{block}.layer"
            norm = f"{at}.0.normalization"
            found.append(
                Coupling(
                    units=channels,
                    scalable=True,
                    members=(
                        Member(name=f"{at}.0.convolution.weight", axis=0),
                        Member(name=f"{norm}.weight", axis=0, power=1),
                        Member(name=f"{norm}.bias", axis=0, power=1),
                        Member(name=f"{norm}.running_mean", axis=0),
                        Member(name=f"{norm}.running_var", axis=0),
                        Member(name=f"{at}.1.convolution.weight", axis=1, power=-1),
                    ),
                )
            )
    return found


def _norm(width: int, norms: Sequence[str], maps: Sequence[str], *, axis: int = 1) -> Coupling:
    """A norm's scale can be moved into the linear maps behind it; its channels belong to the residual and stay."""
    return Coupling(
        units=width,
        permutable=False,
        scalable=True,
        signed=True,
        members=(
            *(Member(name=name, axis=0, power=1) for name in norms),
            *(Member(name=name, axis=axis, power=-1) for name in maps),
        ),
    )


def _encoder_layer(config: Configuration, maps: Sequence[str], output: str, up: str, down: str) -> Sequence[Coupling]:
    """Neurons and heads of one layer; `maps` are queries, keys and values, in this order."""
    head = config["hidden_size"] // config["num_attention_heads"]
    return [
        Coupling(
            units=config["intermediate_size"],
            members=(
                Member(name=f"{up}.weight", axis=0),
                Member(name=f"{up}.bias", axis=0),
                Member(name=f"{down}.weight", axis=1),
            ),
        ),
        Coupling(
            units=config["num_attention_heads"],
            scalable=True,
            signed=True,
            members=(
                *(
                    Member(name=f"{name}.{part}", axis=0, block=head, power=int(place == 2))
                    for place, name in enumerate(maps)
                    for part in ("weight", "bias")
                ),
                Member(name=f"{output}.weight", axis=1, block=head, power=-1),
            ),
        ),
    ]
