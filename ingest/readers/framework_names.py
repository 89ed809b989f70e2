"""Names and axes of Flax and Keras, brought to those of PyTorch, as `transformers` does when it converts between them.

Both keep the matrix of a linear layer as (in, out) where PyTorch keeps (out, in), and a convolution with its channels
last. Which axes a tensor has, the last part of its name says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_KERNELS = frozenset(("kernel", "pointwise_kernel", "depthwise_kernel"))
_FLAX = {"scale": "weight", "embedding": "weight", "mean": "running_mean", "var": "running_var"}
_KERAS = {
    "embeddings": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_COLLECTIONS = frozenset(("params", "batch_stats"))
_DOUBLED = re.compile(r"/[^/]*___([^/]*)/")


def flax_tensor(path: Sequence[str], rank: int) -> tuple[str, tuple[int, ...]]:
    """The name of a Flax parameter in PyTorch's words, and the order of its axes there.

    Parameters
    ----------
    path : sequence of str
        Keys from the top of the tree.
    rank : int
        Number of axes.

    Examples
    --------
    >>> flax_tensor(["params", "encoder", "0", "query", "kernel"], 2)
    ('encoder.0.query.weight', (1, 0))
    """
    parts = list(path[1:] if len(path) > 1 and path[0] in _COLLECTIONS else path)
    axes = tuple(range(rank))
    if parts[-1] == "kernel":
        parts[-1] = "weight"
        axes = _channels_first(rank)
    elif len(parts) > 1:
        parts[-1] = _FLAX.get(parts[-1], parts[-1])
    return ".".join(parts), axes


def keras_tensor(name: str, rank: int) -> tuple[str, tuple[int, ...]]:
    """The name of a Keras variable in PyTorch's words, and the order of its axes there.

    Parameters
    ----------
    name : str
        Parts joined by slashes. Those of TensorFlow models of `transformers` begin with the name of the model's class,
        mark a list's index as `_._` and a part of their own as `_____`.
    rank : int
        Number of axes.

    Examples
    --------
    >>> keras_tensor("tf_bert_model/bert/encoder/layer_._0/output/LayerNorm/gamma:0", 1)
    ('bert.encoder.layer.0.output.LayerNorm.weight', (0,))
    >>> keras_tensor("conv2d/kernel", 4)
    ('conv2d.weight', (3, 2, 0, 1))
    """
    plain = name.removesuffix(":0")
    plain = _DOUBLED.sub(r"/\1/", plain).replace("_._", "/")
    parts = [part for part in plain.split("/") if part]
    if len(parts) > 2 and parts[0].startswith("tf_"):
        del parts[0]
    axes = tuple(range(rank))
    if parts[-1] in _KERNELS:
        parts[-1] = "weight" if parts[-1] != "depthwise_kernel" else "depthwise_weight"
        axes = _channels_first(rank)
    elif len(parts) > 1:
        parts[-1] = _KERAS.get(parts[-1], parts[-1])
    return ".".join(parts), axes


def _channels_first(rank: int) -> tuple[int, ...]:
    """(..., in, out) to (out, in, ...)."""
    if rank < 2:
        return tuple(range(rank))
    return (rank - 1, rank - 2, *range(rank - 2))
