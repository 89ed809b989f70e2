"""How llama.cpp lays tensors out otherwise than the checkpoints it converts (its `conversion/`), and the way back.

- Architectures whose rotary embedding turns neighbouring rows have the rows of query and key projections, and their
  biases, reordered within each head: `weights.reshape(heads, 2, rows // 2, ...).swapaxes(1, 2)`.
- GPT-NeoX and BLOOM have the rows of the fused projection regrouped from one (query, key, value) a head to all queries,
  all keys, all values.
- GPT-2 has its linear layers transposed.
- Mixtures have the experts of a layer in one tensor.

All of it is undone while reading, so that one network has one content. What changes values and not their order, such as
the one that is added to Gemma's norms, is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from ingest.readers.axis_order import ReadFlat, read_half_split, read_regrouped, read_transposed

PAIRED = frozenset(
    [
        *("arcee", "arctic", "bailingmoe", "chameleon", "deci", "deepseek", "granite", "granitehybrid", "granitemoe"),
        *("internlm2", "llama", "llama-embed", "minicpm", "mistral3", "olmo", "smollm3"),
    ]
)
"""Architectures whose converter pairs the rows of query and key; see `LlamaModel.permute` and its subclasses there."""

_PAIRED_WITH_ALL_HEADS = frozenset(("baichuan", "xverse"))
# Their converters count the heads of keys in another way where there are fewer of them.
_REGROUPED = frozenset(("bloom", "gptneox"))
_TRANSPOSED = frozenset(("gpt2", "jais"))
_EXPERTS_LIMIT = 4096

_ROTARY = re.compile(r"blk\.(?P<layer>\d+)\.attn_(?P<part>[qk])\.(weight|bias|weight\.lora_b)")
_FUSED = re.compile(r"blk\.\d+\.attn_qkv\.(weight|bias)")
_LINEAR = re.compile(r"blk\.\d+\.(attn_qkv|attn_output|ffn_up|ffn_gate|ffn_down)\.weight")
_EXPERTS = re.compile(r"(?P<before>blk\.\d+\.ffn_(gate|up|down))_exps\.(?P<after>weight|bias)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One tensor as it is offered, and where its values stand in the file.

    Attributes
    ----------
    name : str
    shape : tuple of int
        As it is offered.
    begin : int
        Values of the stored tensor that stand before it: other experts.
    heads : int
        Heads whose rows are stored in pairs; 0 where none are.
    groups : int
        Heads whose queries, keys and values are stored apart; 0 where none are.
    transposed : bool
        Whether the transpose is stored.
    """

    name: str
    shape: tuple[int, ...]
    begin: int = 0
    heads: int = 0
    groups: int = 0
    transposed: bool = False

    def read(self, read: ReadFlat, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop`, in row-major order, through `read`, which gives them as they are stored."""

        def stored(first: int, last: int) -> NDArray[np.generic]:
            return read(self.begin + first, self.begin + last)

        if self.heads:
            width = prod(self.shape[1:])
            return read_half_split(stored, self.heads, self.shape[0] // self.heads, width, start, stop)
        if self.groups:
            length = prod(self.shape) // (3 * self.groups)
            return read_regrouped(stored, self.groups, 3, length, start, stop)
        if self.transposed:
            return read_transposed(stored, (self.shape[0], self.shape[1]), start, stop)
        return stored(start, stop)


def layouts(name: str, shape: tuple[int, ...], fields: Mapping[str, object]) -> Iterator[Layout]:
    """What a stored tensor is offered as: itself, restored to the order of the checkpoint, or one tensor an expert.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Row-major.
    fields : mapping
        The file's header: `general.architecture` and `{architecture}.attention.head_count(_kv)`.

    Notes
    -----
    A tensor whose rows the stated heads do not divide is offered as it is: the header then says nothing about it.

    Examples
    --------
    >>> fields = {"general.architecture": "llama", "llama.attention.head_count": 4}
    >>> [layout.heads for layout in layouts("blk.0.attn_q.weight", (32, 8), fields)]
    [4]
    >>> [layout.name for layout in layouts("blk.0.ffn_up_exps.weight", (2, 32, 8), fields)]
    ['blk.0.ffn_up.0.weight', 'blk.0.ffn_up.1.weight']
    """
    whole = Layout(name=name, shape=shape)
    architecture = str(fields.get("general.architecture", ""))
    if match := _EXPERTS.fullmatch(name):
        if 2 <= len(shape) <= 3 and 0 < shape[0] <= _EXPERTS_LIMIT:
            size = prod(shape[1:])
            for number in range(shape[0]):
                part = f"{match['before']}.{number}.{match['after']}"
                yield Layout(name=part, shape=shape[1:], begin=number * size)
            return
    elif (match := _ROTARY.fullmatch(name)) and architecture in PAIRED | _PAIRED_WITH_ALL_HEADS:
        heads = _heads(fields, architecture, match["part"], int(match["layer"]))
        if heads and shape and shape[0] % (2 * heads) == 0:
            whole = replace(whole, heads=heads)
    elif architecture in _REGROUPED and _FUSED.fullmatch(name):
        heads = _heads(fields, architecture, "q", 0)
        if heads and shape and shape[0] % (3 * heads) == 0:
            whole = replace(whole, groups=heads)
    elif architecture in _TRANSPOSED and _LINEAR.fullmatch(name) and len(shape) == 2:
        whole = replace(whole, shape=shape[::-1], transposed=True)
    yield whole


def _heads(fields: Mapping[str, object], architecture: str, part: str, layer: int) -> int:
    """Number of heads of a projection; 0 where the header does not state it, or states one that is not followed."""
    queries = _of_layer(fields.get(f"{architecture}.attention.head_count"), layer)
    keys = _of_layer(fields.get(f"{architecture}.attention.head_count_kv"), layer) or queries
    if architecture in _PAIRED_WITH_ALL_HEADS and keys != queries:
        return 0
    return queries if part == "q" else keys


def _of_layer(value: object, layer: int) -> int:
    stated = value[layer] if isinstance(value, tuple) and layer < len(value) else value
    return stated if type(stated) is int and 0 < stated < 1 << 20 else 0
