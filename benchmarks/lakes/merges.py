"""Merging, from the papers: weights in, weights out.

Every function takes states of the same architecture and returns a new one. Integers (counters) are taken from the
first state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]


def linear(states: Sequence[State], weights: Sequence[float]) -> State:
    """Weighted sum (model soups, Wortsman et al. 2022, arXiv 2203.05482); the weights are used as they are."""
    return _each(states, lambda _, tensors: sum_of(tensors, weights))


def slerp(a: State, b: State, t: float) -> State:
    """Spherical interpolation, tensor by tensor (Shoemake 1985); 0 gives `a`, 1 gives `b`.

    Tensors that are nearly parallel are interpolated linearly.
    """
    return _each([a, b], lambda _, tensors: _slerp(tensors[0], tensors[1], t))


def slerp_coefficients(a: Tensor, b: Tensor, t: float) -> tuple[float, float]:
    """The two coefficients that spherical interpolation gives to `a` and `b`."""
    cosine = float((a.flatten() / a.norm()).dot(b.flatten() / b.norm())) if a.norm() > 0 and b.norm() > 0 else 1.0
    if abs(cosine) > 0.9995:
        return 1 - t, t
    angle = torch.arccos(torch.tensor(cosine, dtype=torch.float64))
    return float(torch.sin((1 - t) * angle) / torch.sin(angle)), float(torch.sin(t * angle) / torch.sin(angle))


def task_arithmetic(base: State, tuned: Sequence[State], weights: Sequence[float]) -> State:
    """Base plus weighted task vectors (Ilharco et al. 2023, arXiv 2212.04089); negative weights forget a task."""
    return _each(
        [base, *tuned],
        lambda _, tensors: tensors[0] + sum_of([tensor - tensors[0] for tensor in tensors[1:]], weights),
    )


def ties(base: State, tuned: Sequence[State], weights: Sequence[float], *, density: float) -> State:
    """Trim, elect sign, merge (Yadav et al. 2023, arXiv 2306.01708).

    Each task vector keeps the `density` of its values that are largest in magnitude; the sign with the larger weighted
    sum wins; the values of that sign are averaged by weight and added to the base.
    """

    def merge(_: str, tensors: list[Tensor]) -> Tensor:
        deltas = torch.stack([trimmed(tensor - tensors[0], density) for tensor in tensors[1:]])
        scale = torch.tensor(list(weights), dtype=deltas.dtype).view(-1, *[1] * tensors[0].ndim)
        elected = (deltas * scale).sum(0).sign()
        agreeing = (deltas.sign() == elected) & (deltas != 0)
        total = (deltas * scale * agreeing).sum(0)
        return tensors[0] + total / (scale * agreeing).sum(0).clamp_min(1e-12)

    return _each([base, *tuned], merge)


def dare(base: State, tuned: Sequence[State], weights: Sequence[float], *, density: float, seed: int) -> State:
    """Drop and rescale (Yu et al. 2024, arXiv 2311.03099).

    Each value of a task vector survives with probability `density` and is divided by it; the rest is task arithmetic.
    """
    generator = torch.Generator().manual_seed(seed)

    def merge(_: str, tensors: list[Tensor]) -> Tensor:
        deltas = []
        for tensor in tensors[1:]:
            kept = torch.rand(tensor.shape, generator=generator) < density
            deltas.append((tensor - tensors[0]) * kept / density)
        return tensors[0] + sum_of(deltas, weights)

    return _each([base, *tuned], merge)


def passthrough(a: State, b: State, layers: str, taken_from_b: Sequence[int]) -> State:
    """Stitch (a frankenmerge): the given layers come from `b`, everything else from `a`."""
    prefixes = tuple(f"{layers}{number}." for number in taken_from_b)
    return {name: (b if name.startswith(prefixes) else a)[name].clone() for name in a}


def stacked(states: Sequence[State], layers: str, order: Sequence[tuple[int, int]]) -> State:
    """Depth up-scaling (SOLAR, Kim et al. 2023, arXiv 2312.15166): layers repeated, or of several models in a row.

    Parameters
    ----------
    order : sequence of (state, layer)
        The new layers from the bottom up; what is no layer comes from the first state.
    """
    grown = {name: tensor.clone() for name, tensor in states[0].items() if not name.startswith(layers)}
    for new, (which, old) in enumerate(order):
        prefix = f"{layers}{old}."
        for name, tensor in states[which].items():
            if name.startswith(prefix):
                grown[f"{layers}{new}.{name.removeprefix(prefix)}"] = tensor.clone()
    return grown


def trimmed(delta: Tensor, density: float) -> Tensor:
    """Keep the share `density` of the values that are largest in magnitude, zero the others; ties are all kept."""
    kept = max(1, round(density * delta.numel()))
    threshold = delta.abs().flatten().topk(kept).values[-1]
    return delta.where(delta.abs() >= threshold, torch.zeros_like(delta))


def sum_of(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted sum of tensors of one shape."""
    if len(tensors) != len(weights) or not tensors:
        raise ValueError(f"{len(tensors)} tensors need as many weights, got {len(weights)}")
    total = weights[0] * tensors[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total = total + weight * tensor
    return total


def _slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    left, right = slerp_coefficients(a, b, t)
    return left * a + right * b


def _each(states: Sequence[State], combine: Callable[[str, list[Tensor]], Tensor]) -> State:
    merged: State = {}
    for name, first in states[0].items():
        tensors = [state[name] for state in states]
        merged[name] = combine(name, tensors).to(first.dtype) if first.is_floating_point() else first.clone()
    return merged
