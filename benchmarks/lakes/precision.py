"""Fewer bits and fewer values: the grids of quantised weights, and pruning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.lakes.symmetries import Coupling
from benchmarks.lakes.training import State

GROUP = 32
INPUT_FIRST = ("c_attn", "c_fc", "c_proj")
"""Maps stored with the input first, whose channels are columns."""


def int8_grid(tensor: Tensor) -> Tensor:
    """Round to 8-bit integers, one scale a row (absmax), and scale back."""
    scale = tensor.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return (tensor / scale).round().clamp(-127, 127) * scale


def int4_grid(tensor: Tensor) -> Tensor:
    """Round to 4-bit integers, a scale and a zero point for each group of 32 along a row, and scale back."""
    rows, columns = tensor.shape
    if columns % GROUP:
        return tensor.clone()
    groups = tensor.reshape(rows, -1, GROUP)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    scale = ((high - low) / 15).clamp_min(1e-12)
    return (((groups - low) / scale).round().clamp(0, 15) * scale + low).reshape(rows, columns)


def fp8_grid(tensor: Tensor) -> Tensor:
    """Round to 8-bit floats (e4m3), one scale a tensor, and scale back."""
    scale = tensor.abs().amax().clamp_min(1e-12) / 448
    return (tensor / scale).to(torch.float8_e4m3fn).to(tensor.dtype) * scale


GRIDS: dict[str, Callable[[Tensor], Tensor]] = {"int8": int8_grid, "int4": int4_grid, "fp8": fp8_grid}


def quantized(state: State, grid: str) -> State:
    """Put the matrices of the layers on a grid, stored again as they were; embeddings and heads are left alone."""
    rounding = GRIDS[grid]
    rounded: State = {}
    for name, tensor in state.items():
        if tensor.ndim < 2 or not _inner(name):
            rounded[name] = tensor.clone()
        elif any(part in name for part in INPUT_FIRST):
            rounded[name] = rounding(tensor.T).T.contiguous()
        else:
            rounded[name] = rounding(tensor.reshape(len(tensor), -1)).reshape(tensor.shape)
    return rounded


HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def cut(state: State, dtype: torch.dtype) -> State:
    """Store every float in fewer bits."""
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor.clone() for name, tensor in state.items()}


def pruned_by_magnitude(state: State, sparsity: float) -> State:
    """Zero the smallest values of each matrix, the same share in every one."""
    pruned: State = {}
    for name, tensor in state.items():
        if tensor.ndim < 2 or not _inner(name):
            pruned[name] = tensor.clone()
            continue
        threshold = tensor.abs().flatten().kthvalue(max(1, int(sparsity * tensor.numel()))).values
        pruned[name] = tensor.where(tensor.abs() > threshold, torch.zeros_like(tensor))
    return pruned


def pruned_by_structure(state: State, couplings: Sequence[Coupling], share: float) -> State:
    """Zero the weakest whole units (neurons, heads, channels) of every coupling, in all tensors that hold them."""
    pruned = {name: tensor.clone() for name, tensor in state.items()}
    for coupling in couplings:
        if not coupling.permutable or coupling.units < 8:
            continue
        strength = torch.zeros(coupling.units)
        blocks = []
        for member in coupling.members:
            if "running" in member.name:
                continue
            axis = pruned[member.name].movedim(member.axis, 0)
            block = axis[member.offset : member.offset + member.block * coupling.units]
            blocks.append((block, member.block))
            strength += block.reshape(coupling.units, -1).square().sum(1)
        weakest = strength.argsort()[: int(share * coupling.units)]
        for block, size in blocks:
            for unit in weakest.tolist():
                block[unit * size : (unit + 1) * size] = 0
    return pruned


def _inner(name: str) -> bool:
    return not any(part in name for part in ("embed", "wte", "wpe", "lm_head", "shared", "score", "classifier"))
