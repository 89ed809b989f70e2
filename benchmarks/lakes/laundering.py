"""Laundering: other weights, the same function. Permuted, rescaled and rotated copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.lakes.symmetries import Coupling, Member
from benchmarks.lakes.training import State

SPREAD = 0.7
"""Scales are drawn between exp(-SPREAD) and exp(SPREAD)."""


def permuted(state: State, couplings: Sequence[Coupling], seed: int) -> State:
    """Permute neurons, heads and channels, each coupling by a permutation of its own."""
    generator = torch.Generator().manual_seed(seed)
    copy = {name: tensor.clone() for name, tensor in state.items()}
    for coupling in couplings:
        if not coupling.permutable:
            continue
        order = torch.randperm(coupling.units, generator=generator)
        for member in coupling.members:
            block = _block(copy, member, coupling.units)
            block.copy_(block.reshape(coupling.units, member.block, *block.shape[1:])[order].reshape(block.shape))
    return copy


def rescaled(state: State, couplings: Sequence[Coupling], seed: int) -> State:
    """Multiply units by scales of their own (of either sign where the symmetry allows) and undo it behind them."""
    generator = torch.Generator().manual_seed(seed)
    copy = {name: tensor.clone() for name, tensor in state.items()}
    for coupling in couplings:
        if not coupling.scalable:
            continue
        scale = torch.exp((2 * torch.rand(coupling.units, generator=generator) - 1) * SPREAD)
        if coupling.signed:
            scale = scale * (2 * torch.randint(0, 2, (coupling.units,), generator=generator) - 1)
        for member in coupling.members:
            block = _block(copy, member, coupling.units)
            factor = (scale**member.power).repeat_interleave(member.block)
            block.mul_(factor.view(-1, *[1] * (block.ndim - 1)))
    return copy


def rotated(state: State, config: Mapping[str, Any], seed: int) -> State:
    """Turn the residual stream of a llama: norms folded into the maps behind them, then one orthogonal matrix.

    Root mean square norms without scales commute with rotations (Ashkboos et al. 2024, arXiv 2401.15024).
    """
    generator = torch.Generator().manual_seed(seed)
    width = config["hidden_size"]
    turn, _ = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
    copy = {name: tensor.double() for name, tensor in state.items()}
    readers = [("model.norm.weight", ["lm_head.weight"])]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        readers += [
            (f"{at}.input_layernorm.weight", [f"{at}.self_attn.{x}_proj.weight" for x in "qkv"]),
            (f"{at}.post_attention_layernorm.weight", [f"{at}.mlp.gate_proj.weight", f"{at}.mlp.up_proj.weight"]),
        ]
        for writer in (f"{at}.self_attn.o_proj.weight", f"{at}.mlp.down_proj.weight"):
            copy[writer] = turn.T @ copy[writer]
    for norm, maps in readers:
        for name in maps:
            copy[name] = (copy[name] * copy[norm]) @ turn
        copy[norm] = torch.ones_like(copy[norm])
    copy["model.embed_tokens.weight"] = copy["model.embed_tokens.weight"] @ turn
    return {name: tensor.to(state[name].dtype) for name, tensor in copy.items()}


def _block(state: State, member: Member, units: int) -> Tensor:
    """A view of the units, first axis first."""
    return state[member.name].movedim(member.axis, 0)[member.offset : member.offset + member.block * units]
