"""The parts that transformers are made of, as plain products of the matrices of a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, softmax

Values = NDArray[np.float64]
Matrices = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The matrices of a network, applied to hidden states along the last axis.

    Every method raises ValueError where a role is not there or a shape does not fit: the network is not built as its
    kind is known to be, or not all of it is held.

    Attributes
    ----------
    matrices : mapping of role to array
    inputs_first : bool
        Whether maps are stored inputs by outputs.
    """

    matrices: Matrices
    inputs_first: bool = False

    def matrix(self, role: str) -> Values:
        """A tensor, as a matrix."""
        if role not in self.matrices:
            raise ValueError(f"there is no {role}")
        return np.asarray(self.matrices[role], dtype=np.float64)

    def rows(self, role: str, places: NDArray[np.int64]) -> Values:
        """Some rows of a matrix that may be large."""
        if role not in self.matrices:
            raise ValueError(f"there is no {role}")
        return np.asarray(self.matrices[role][places], dtype=np.float64)

    def vector(self, role: str) -> Values | None:
        """A tensor of one axis; None where there is none."""
        return self.matrix(role).ravel() if role in self.matrices else None

    def linear(self, x: Values, name: str) -> Values:
        """A map, with its bias if it has one."""
        weight, bias = self.matrix(f"{name}.weight"), self.vector(f"{name}.bias")
        turned = weight if self.inputs_first else weight.T
        if x.shape[-1] != len(turned):
            raise ValueError(f"shapes do not fit at {name}")
        product: Values = x @ turned
        return product if bias is None else product + bias

    def norm(self, x: Values, name: str, *, least: float) -> Values:
        """By mean and variance where there is a bias, else by the root of the mean square."""
        weight, bias = self.matrix(f"{name}.weight").ravel(), self.vector(f"{name}.bias")
        centred = x if bias is None else x - x.mean(axis=-1, keepdims=True)
        scaled: Values = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + least) * weight
        return scaled if bias is None else scaled + bias

    def alone(self, x: Values, name: str) -> Values:
        """What attention to one token alone writes: its value, through the output map."""
        return self.linear(self.linear(x, f"{name}.value"), f"{name}.output")

    def attention(self, x: Values, read: Values, name: str, *, heads: int, bias: Values | float = 0.0) -> Values:
        """What attention of some places to others writes.

        Parameters
        ----------
        x : (n, s, d) array
            Where it is asked.
        read : (n, t, d) array
            What is attended to.
        heads : int
        bias : (heads, s, t) array or float
            Added to the products of queries and keys, which are not scaled.
        """
        queries, keys, values = (
            self._split(self.linear(of, f"{name}.{part}"), heads, name)
            for of, part in ((x, "query"), (read, "key"), (read, "value"))
        )
        shares = softmax(queries @ keys.swapaxes(-1, -2) + bias, axis=-1)
        seen = (shares @ values).swapaxes(1, 2)
        return self.linear(seen.reshape(*x.shape[:2], -1), f"{name}.output")

    def gated(self, x: Values, name: str) -> Values:
        """The feed-forward layer of a T5: cut off at zero, or gated."""
        opened = self.linear(x, f"{name}.up")
        if f"{name}.gate.weight" in self.matrices:
            opened = opened * gelu_tanh(self.linear(x, f"{name}.gate"))
        else:
            opened = np.maximum(opened, 0)
        return self.linear(opened, f"{name}.down")

    def layers(self, prefix: str = "") -> Iterator[str]:
        """The names of the layers, from the first on."""
        number = 0
        while any(role.startswith(f"{prefix}layers.{number}.") for role in self.matrices):
            yield f"{prefix}layers.{number}"
            number += 1

    @staticmethod
    def _split(x: Values, heads: int, name: str) -> Values:
        if heads < 1 or x.shape[-1] % heads:
            raise ValueError(f"shapes do not fit at {name}")
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def silu(x: Values) -> Values:
    """The logistic function of a value, times the value."""
    found: Values = x / (1 + np.exp(-np.clip(x, -500, 500)))
    return found


def gelu(x: Values) -> Values:
    """The normal distribution function of a value, times the value."""
    found: Values = x * 0.5 * (1 + erf(x / np.sqrt(2)))
    return found


def gelu_tanh(x: Values) -> Values:
    """The same by the usual approximation."""
    found: Values = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return found
