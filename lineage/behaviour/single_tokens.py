"""What a language model says to one token alone, worked out from its weights.

Attention over a single token gives the value of that token, whatever queries, keys and rotations are. So the answers of
a transformer to single tokens need no configuration: neither how many heads there are (but where several share one
value), nor how positions turn. They are its bigrams (Elhage et al. 2021, "A mathematical framework for transformer
circuits", section "zero-layer transformers", with all layers in it), and a student that was trained on a teacher's
outputs has learned them from it, whatever the width of either.

How well two networks agree is judged token by token. A student has learned some tokens well and others hardly, by how
often they came up, and what it says after the latter is like nobody. So divergences are averaged by their reciprocals:
where the student has come near to a teacher counts, and the arithmetic mean would hear the unlearned tokens alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from graph_schema.fingerprint import Fingerprint
from lineage.behaviour.output_geometry import LEAST_OUTPUTS, MOST_OUTPUTS, output_map
from lineage.behaviour.transformer_parts import Values, Weights, gelu, gelu_tanh, silu
from lineage.symmetry.mapped import network_of
from lineage.symmetry.weights import WeightSource

POSITIONS = (0, 7, 31, 63)
"""Where the token stands, in networks that have learned each position by itself: what comes first is seldom what else
comes, and the mean over some places is clearer than any of them."""

TEMPERATURE = 2.0
"""What is likely is not all that a student learns."""

LEAST_DIVERGENCE = 1e-9
"""Nats; below it is rounding."""

HEADS = (8, 16, 32, 64, 80, 96, 128, 256)
"""Sizes of heads that are tried where several share a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Logits for some tokens after each of them alone.

    Attributes
    ----------
    tokens : (k,) int64 array
        Ascending; asked and answered alike.
    logits : mapping of int to (c, k, k) float32 array
        For each possible size of a head (0 where it does not matter) the answers in c settings, one row a token asked.
    """

    tokens: NDArray[np.int64]
    logits: Mapping[int, NDArray[np.float32]]


def single_tokens(fingerprint: Fingerprint, weights: WeightSource | None = None) -> Answers | None:
    """What a version says to single tokens.

    Parameters
    ----------
    fingerprint : Fingerprint
    weights : WeightSource, optional
        Where matrices are read again that the fingerprint does not hold whole.

    Returns
    -------
    Answers or None
        None where not all weights are at hand, or where the network is none of those that are known: Llama and kin,
        GPT-2, BERT and DistilBERT with their head for masked tokens, T5.

    Raises
    ------
    graph_schema.errors.ModelLakeError
        If weights cannot be read, or are not those that were fingerprinted.

    Notes
    -----
    Time O(k p) for k tokens, at most `MOST_OUTPUTS`, and p parameters; one matrix in memory at a time.
    """
    forward, tensor = _FORWARD.get(fingerprint.architecture), output_map(fingerprint)
    if forward is None or tensor is None or tensor.role not in ("head.weight", "embed.token.weight"):
        return None
    tokens = tensor.rows[:MOST_OUTPUTS]
    part = whole_network(fingerprint, weights, tokens)
    if part is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = {size: forward(part, tokens, size).astype(np.float32) for size in _head_sizes(part)}
    except (ValueError, IndexError):
        # What does not fit together is no such network.
        return None
    # Weights out of all proportion overflow.
    logits = {size: each for size, each in found.items() if np.isfinite(each).all()}
    return Answers(tokens=tokens, logits=MappingProxyType(logits)) if logits else None


def whole_network(fingerprint: Fingerprint, weights: WeightSource | None, tokens: NDArray[np.int64]) -> Weights | None:
    """The weights of a version, if all are at hand and it knows some tokens, enough of them to be asked."""
    if len(tokens) < LEAST_OUTPUTS:
        return None
    network = network_of(fingerprint, weights)
    table = network.shapes.get("embed.token.weight", (0,))
    if set(network.matrices) != set(network.shapes) or table[0] <= int(tokens[-1]):
        return None
    return Weights(matrices=network.matrices)


def divergence(student: Answers, teacher: Answers) -> dict[int, float]:
    """How far a student's answers lie from a teacher's, for each size of heads that both may have.

    Returns
    -------
    dict of int to float
        Harmonic mean over all answers of the Kullback-Leibler divergence, in nats, of the student's from the teacher's
        at temperature 2, over the tokens that both were asked for. Empty where these are fewer than `LEAST_OUTPUTS`, or
        the settings differ.

    Examples
    --------
    >>> said = Answers(tokens=np.arange(8), logits={0: np.eye(8, dtype=np.float32)[None]})
    >>> divergence(said, said)
    {0: 1e-09}
    """
    shared, mine, theirs = np.intersect1d(student.tokens, teacher.tokens, assume_unique=True, return_indices=True)
    found: dict[int, float] = {}
    for size in sorted(student.logits.keys() & teacher.logits.keys()):
        one, two = student.logits[size], teacher.logits[size]
        if len(shared) < LEAST_OUTPUTS or len(one) != len(two):
            continue
        found[size] = mean_divergence(one[:, mine][:, :, mine], two[:, theirs][:, :, theirs])
    return found


def mean_divergence(said: NDArray[np.floating], meant: NDArray[np.floating], *, power: float = 1.0) -> float:
    """How far what was said lies from what was meant, where the one has learned the other.

    Parameters
    ----------
    said, meant : (..., k) arrays
        Logits of the same k tokens.
    power : float
        Divergences are averaged by this power of their reciprocals: by 1 that is the harmonic mean, and the larger, the
        more it counts what was learned best.

    Returns
    -------
    float
        Of the Kullback-Leibler divergences of `said` from `meant` at temperature `TEMPERATURE`, in nats.

    Examples
    --------
    >>> mean_divergence(np.eye(3), np.eye(3) + 5)
    1e-09
    """
    one, two = _log_shares(said), _log_shares(meant)
    each = np.maximum((np.exp(two) * (two - one)).sum(axis=-1), LEAST_DIVERGENCE)
    return float(np.mean(each**-power) ** (-1 / power))


def _log_shares(logits: NDArray[np.floating]) -> Values:
    shares: Values = log_softmax(logits.astype(np.float64) / TEMPERATURE, axis=-1)
    return shares


def _head_sizes(part: Weights) -> list[int]:
    """The sizes that heads may have, 0 where each has a value of its own."""
    value, output = part.matrices.get("layers.0.attention.value.weight"), "layers.0.attention.output.weight"
    if value is None or output not in part.matrices or value.shape[0] == part.matrices[output].shape[1]:
        return [0]
    return [size for size in HEADS if value.shape[0] % size == 0]


def _spread(values: Values, wide: int, size: int) -> Values:
    """Values that several heads share, once for each head."""
    if values.shape[1] == wide:
        return values
    if not size or wide % values.shape[1]:
        raise ValueError("heads do not fit")
    apart = values.reshape(len(values), -1, size)
    return np.repeat(apart, wide // values.shape[1], axis=1).reshape(len(values), wide)


def _llama(part: Weights, tokens: NDArray[np.int64], size: int) -> Values:
    x = part.rows("embed.token.weight", tokens)
    for layer in part.layers():
        values = part.linear(part.norm(x, f"{layer}.norm.attention", least=1e-6), f"{layer}.attention.value")
        wide = part.matrix(f"{layer}.attention.output.weight").shape[1]
        x = x + part.linear(_spread(values, wide, size), f"{layer}.attention.output")
        read = part.norm(x, f"{layer}.norm.mlp", least=1e-6)
        opened = silu(part.linear(read, f"{layer}.mlp.gate")) * part.linear(read, f"{layer}.mlp.up")
        x = x + part.linear(opened, f"{layer}.mlp.down")
    x = part.norm(x, "norm.final", least=1e-6)
    return (x @ _outputs(part, tokens).T)[None]


def _gpt2(part: Weights, tokens: NDArray[np.int64], _: int) -> Values:
    part = Weights(matrices=part.matrices, inputs_first=True)
    x = _embedded(part, tokens)
    for layer in part.layers():
        read = part.norm(x, f"{layer}.norm.attention", least=1e-5)
        values = np.split(part.linear(read, f"{layer}.attention.query_key_value"), 3, axis=1)[2]
        x = x + part.linear(values, f"{layer}.attention.output")
        read = part.norm(x, f"{layer}.norm.mlp", least=1e-5)
        x = x + part.linear(gelu_tanh(part.linear(read, f"{layer}.mlp.up")), f"{layer}.mlp.down")
    x = part.norm(x, "norm.final", least=1e-5)
    return (x @ _outputs(part, tokens).T).reshape(-1, len(tokens), len(tokens))


def _bert(part: Weights, tokens: NDArray[np.int64], _: int) -> Values:
    x = _embedded(part, tokens)
    if "embed.segment.weight" in part.matrices:
        x = x + part.matrix("embed.segment.weight")[0]
    x = part.norm(x, "embed.norm", least=1e-12)
    for layer in part.layers():
        x = part.norm(x + part.alone(x, f"{layer}.attention"), f"{layer}.norm.attention", least=1e-12)
        written = part.linear(gelu(part.linear(x, f"{layer}.mlp.up")), f"{layer}.mlp.down")
        x = part.norm(x + written, f"{layer}.norm.mlp", least=1e-12)
    x = part.norm(gelu(part.linear(x, "head.transform")), "head.norm", least=1e-12)
    logits = x @ _outputs(part, tokens).T
    for role in ("head.output_bias", "head.bias"):
        bias = part.vector(role)
        logits = logits if bias is None else logits + bias[tokens]
    return logits.reshape(-1, len(tokens), len(tokens))


def _t5(part: Weights, tokens: NDArray[np.int64], _: int) -> Values:
    known = part.rows("embed.token.weight", tokens)
    x = known
    for layer in part.layers("encoder."):
        x = x + part.alone(part.norm(x, f"{layer}.norm.attention", least=1e-6), f"{layer}.attention")
        x = x + part.gated(part.norm(x, f"{layer}.norm.mlp", least=1e-6), f"{layer}.mlp")
    encoded = part.norm(x, "encoder.norm.final", least=1e-6)
    # Which token starts a decoder is not known: it is given the same token, and another.
    x, encoded = np.concatenate([known, np.roll(known, len(known) // 2, axis=0)]), np.tile(encoded, (2, 1))
    for layer in part.layers("decoder."):
        x = x + part.alone(part.norm(x, f"{layer}.norm.attention", least=1e-6), f"{layer}.attention")
        x = x + part.alone(encoded, f"{layer}.cross_attention")
        x = x + part.gated(part.norm(x, f"{layer}.norm.mlp", least=1e-6), f"{layer}.mlp")
    x = part.norm(x, "decoder.norm.final", least=1e-6)
    if "head.weight" not in part.matrices:
        x = x / np.sqrt(x.shape[1])
    return (x @ _outputs(part, tokens).T).reshape(2, len(tokens), len(tokens))


def _embedded(part: Weights, tokens: NDArray[np.int64]) -> Values:
    """Tokens at several positions, one after the other."""
    rows, places = part.rows("embed.token.weight", tokens), part.matrix("embed.position.weight")
    return np.concatenate([rows + places[place] for place in POSITIONS if place < len(places)])


def _outputs(part: Weights, tokens: NDArray[np.int64]) -> Values:
    return part.rows("head.weight" if "head.weight" in part.matrices else "embed.token.weight", tokens)


_FORWARD: Mapping[str, Callable[[Weights, NDArray[np.int64], int], Values]] = MappingProxyType(
    {"llama": _llama, "gpt2": _gpt2, "bert": _bert, "distilbert": _bert, "t5": _t5}
)
