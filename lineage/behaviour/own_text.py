"""What a T5 says to text that a student wrote: its teacher says the same.

A student has learned its teacher on the texts it was trained on, and what it writes by itself is such text. So it
writes some passages and goes on from them, and every possible teacher is asked how it would have gone on. Single
tokens (`single_tokens`) show what a network says without a context, in which relatives differ little.

A T5 needs no configuration for that: its table of relative positions tells how many heads there are, and nothing is
scaled (Raffel et al. 2020, arXiv 1910.10683). Which token starts its decoder is not known; any serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from graph_schema.fingerprint import Fingerprint
from lineage.behaviour.output_geometry import MOST_OUTPUTS, output_map
from lineage.behaviour.single_tokens import mean_divergence, whole_network
from lineage.behaviour.transformer_parts import Values, Weights
from lineage.symmetry.weights import WeightSource

PASSAGES = 128
LENGTH = 24
"""Tokens of a passage, and of what follows."""

MOST_PARAMETERS = 300_000_000
"""Of a student that is asked to write: it is run `LENGTH` times for each half of the text."""

FARTHEST = 128
"""Distance from which on places are equally far, as in all released T5."""

POWER = 2.0
"""Of the reciprocals by which divergences are averaged: after most contexts relatives go on alike, and few tell."""

NOTHING = -1e9
SEED = 20

Tokens = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnText:
    """What a student wrote, and what it says at each place of the second half.

    Attributes
    ----------
    tokens : (k,) int64 array
        Those that are written and answered, ascending.
    passages, following : (n, l) int64 arrays
        Places in `tokens`.
    logits : (n, l, k) float32 array
        For each token of `following`, as it was about to be written.
    """

    tokens: Tokens
    passages: Tokens
    following: Tokens
    logits: NDArray[np.float32]


def own_text(fingerprint: Fingerprint, weights: WeightSource | None = None) -> OwnText | None:
    """Let a student write.

    Parameters
    ----------
    fingerprint : Fingerprint
    weights : WeightSource, optional
        Where matrices are read again that the fingerprint does not hold whole.

    Returns
    -------
    OwnText or None
        None where it is no T5, too large, or not all of it is at hand.

    Raises
    ------
    graph_schema.errors.ModelLakeError
        If weights cannot be read, or are not those that were fingerprinted.

    Notes
    -----
    The same text each time. Every passage starts from another token alone. Time O(n l^2 p) for n passages of l tokens
    and p parameters, all of which are in memory.
    """
    tensor = output_map(fingerprint)
    if fingerprint.parameters > MOST_PARAMETERS or tensor is None:
        return None
    tokens = tensor.rows[:MOST_OUTPUTS]

    def write(part: Weights) -> OwnText:
        part = Weights(matrices={role: np.asarray(part.matrices[role]) for role in part.matrices})
        generator = np.random.default_rng(SEED)
        count = min(PASSAGES, len(tokens))
        starts = np.linspace(0, len(tokens) - 1, count).astype(np.int64)[:, None]
        passages = _written(part, tokens, starts, generator)
        following = _written(part, tokens, passages, generator)
        logits = _answers(part, tokens, passages, following)
        return OwnText(tokens=tokens, passages=passages, following=following, logits=logits)

    return _of(fingerprint, weights, tokens, write)


def divergence_on(text: OwnText, teacher: Fingerprint, weights: WeightSource | None = None) -> float | None:
    """How far what a teacher says to a student's text lies from what the student says.

    Parameters
    ----------
    text : OwnText
    teacher : Fingerprint
    weights : WeightSource, optional
        As for `own_text`.

    Returns
    -------
    float or None
        Mean over all places, in nats (`single_tokens.mean_divergence`); None where the teacher is no T5, does not know
        some token, or not all of it is at hand.

    Notes
    -----
    Time O(n l p) for n passages of l tokens and p parameters; one matrix in memory at a time.
    """

    def read(part: Weights) -> NDArray[np.float32]:
        return _answers(part, text.tokens, text.passages, text.following)

    meant = _of(teacher, weights, text.tokens, read)
    return None if meant is None else mean_divergence(text.logits, meant, power=POWER)


def _of(
    fingerprint: Fingerprint, weights: WeightSource | None, tokens: Tokens, ask: Callable[[Weights], T]
) -> T | None:
    """The answer of a network, if it is built as T5 are and says something."""
    part = whole_network(fingerprint, weights, tokens) if fingerprint.architecture == "t5" else None
    if part is None:
        return None
    try:
        with np.errstate(all="ignore"):
            return ask(part)
    except (ValueError, IndexError):
        # What does not fit together is no such network; of weights out of all proportion nothing can be drawn.
        return None


def _written(part: Weights, tokens: Tokens, passages: Tokens, generator: np.random.Generator) -> Tokens:
    """`LENGTH` tokens after each passage, drawn one by one."""
    encoded = _encoded(part, tokens[passages])
    written = np.zeros((len(passages), 0), dtype=np.int64)
    for _ in range(LENGTH):
        shares = softmax(_decoded(part, tokens, encoded, written)[:, -1], axis=-1)
        if not np.isfinite(shares).all():
            raise ValueError("what it says is beyond all numbers")
        drawn = (np.cumsum(shares, axis=1) < generator.random((len(shares), 1))).sum(axis=1)
        written = np.hstack([written, np.minimum(drawn, len(tokens) - 1)[:, None]])
    return written


def _answers(part: Weights, tokens: Tokens, passages: Tokens, following: Tokens) -> NDArray[np.float32]:
    found = _decoded(part, tokens, _encoded(part, tokens[passages]), following[:, :-1]).astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("what it says is beyond all numbers")
    return found


def _encoded(part: Weights, tokens: Tokens) -> Values:
    x = _rows(part, tokens)
    bias: Values | None = None
    for layer in part.layers("encoder."):
        heads, bias = _bias(part, layer, bias, tokens.shape[1], both=True)
        read = part.norm(x, f"{layer}.norm.attention", least=1e-6)
        x = x + part.attention(read, read, f"{layer}.attention", heads=heads, bias=bias)
        x = x + part.gated(part.norm(x, f"{layer}.norm.mlp", least=1e-6), f"{layer}.mlp")
    return part.norm(x, "encoder.norm.final", least=1e-6)


def _decoded(part: Weights, tokens: Tokens, encoded: Values, written: Tokens) -> Values:
    """Logits after a start and each of the written tokens, (n, l + 1, k)."""
    # The first of the tokens stands where the decoder starts.
    x = _rows(part, tokens[np.hstack([np.zeros((len(written), 1), dtype=np.int64), written])])
    length = x.shape[1]
    later = np.where(np.arange(length)[None, :] > np.arange(length)[:, None], NOTHING, 0.0)
    bias: Values | None = None
    for layer in part.layers("decoder."):
        heads, bias = _bias(part, layer, bias, length, both=False)
        read = part.norm(x, f"{layer}.norm.attention", least=1e-6)
        x = x + part.attention(read, read, f"{layer}.attention", heads=heads, bias=bias + later)
        read = part.norm(x, f"{layer}.norm.cross_attention", least=1e-6)
        x = x + part.attention(read, encoded, f"{layer}.cross_attention", heads=heads)
        x = x + part.gated(part.norm(x, f"{layer}.norm.mlp", least=1e-6), f"{layer}.mlp")
    x = part.norm(x, "decoder.norm.final", least=1e-6)
    if "head.weight" in part.matrices:
        return x @ part.rows("head.weight", tokens).T
    found: Values = x / np.sqrt(x.shape[-1]) @ part.rows("embed.token.weight", tokens).T
    return found


def _rows(part: Weights, tokens: Tokens) -> Values:
    return part.rows("embed.token.weight", tokens.ravel()).reshape(*tokens.shape, -1)


def _bias(part: Weights, layer: str, above: Values | None, length: int, *, both: bool) -> tuple[int, Values]:
    """How many heads there are, and what relative places add in each: by a table of the layer's own, or the last."""
    role = f"{layer}.attention.relative_bias.weight"
    if role in part.matrices:
        table = part.matrix(role)
        places = np.arange(length)
        above = table[_buckets(places[None, :] - places[:, None], len(table), both=both)].transpose(2, 0, 1)
    if above is None:
        raise ValueError(f"there is no {role}")
    return len(above), above


def _buckets(distances: Tokens, count: int, *, both: bool) -> Tokens:
    """The row of the table for each distance: near ones have rows of their own, farther ones share, by logarithms."""
    found = np.zeros_like(distances)
    if both:
        count //= 2
        found = np.where(distances > 0, count, 0)
        distances = np.abs(distances)
    else:
        distances = np.maximum(-distances, 0)
    near = count // 2
    with np.errstate(divide="ignore"):
        far = near + np.floor(np.log(distances / near) / np.log(FARTHEST / near) * (count - near))
    far = np.clip(far, 0, count - 1)
    shared: Tokens = found + np.where(distances < near, distances, far).astype(np.int64)
    return shared
