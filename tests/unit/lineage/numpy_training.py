"""Networks small enough to be trained in plain arrays, and their fingerprints."""

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint

Weights = dict[str, NDArray[np.float64]]


def record(role: str, values: NDArray[np.float64]) -> TensorFingerprint:
    block = values.astype(np.float32)
    return TensorFingerprint(
        name=role,
        role=role,
        shape=block.shape,
        dtype="F32",
        content=f"{hash(block.tobytes()) & (1 << 256) - 1:064x}",
        multiset="",
        size=block.size,
        zeros=0,
        nonfinite=0,
        mean=0.0,
        variance=1.0,
        skewness=0.0,
        kurtosis=3.0,
        minimum=float(block.min()),
        maximum=float(block.max()),
        l1=float(np.abs(block).sum()),
        l2=float(np.linalg.norm(block)),
        bf16_exact=0,
        f16_exact=0,
        mantissa_bits=23,
        levels=block.shape[1],
        rows=np.arange(block.shape[0]),
        columns=np.arange(block.shape[1]),
        block=block,
        sketch=np.zeros((0, 0), np.float32),
    )


def version(name: str, weights: Weights, *, kind: str = "full", scale: float = 1.0) -> Fingerprint:
    tensors = tuple(record(role, values) for role, values in sorted(weights.items()))
    return Fingerprint(version=name, tensors=tensors, kind=kind, scale=scale)


class Adam:
    """Adam with decoupled decay of weights, as models are trained in practice."""

    def __init__(self, *, rate: float, decay: float = 0.0) -> None:
        self.rate, self.decay, self.steps = rate, decay, 0
        self.moments: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def step(self, weights: Weights, gradients: Weights) -> None:
        self.steps += 1
        for name, gradient in gradients.items():
            first, second = self.moments.get(name, (np.zeros_like(gradient), np.zeros_like(gradient)))
            first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
            self.moments[name] = first, second
            move = first / (1 - 0.9**self.steps) / (np.sqrt(second / (1 - 0.99**self.steps)) + 1e-8)
            weights[name] = (1 - self.rate * self.decay) * weights[name] - self.rate * move
