"""What T5 say to text that a student wrote: held against the networks themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.lakes.architectures import ARCHITECTURES  # noqa: E402
from benchmarks.lakes.laundering import permuted, rescaled  # noqa: E402
from benchmarks.lakes.training import state_of  # noqa: E402
from benchmarks.laundered import StateSource  # noqa: E402
from ingest.fingerprint import take_fingerprint  # noqa: E402
from lineage.behaviour.own_text import LENGTH, OwnText, divergence_on, own_text  # noqa: E402
from lineage.behaviour.single_tokens import LEAST_DIVERGENCE  # noqa: E402
from tests.unit.lineage.test_single_tokens import NETWORKS, TOKENS, fingerprint, network  # noqa: E402

LARGE = {"t5": {"relative_attention_num_buckets": 8}, "gated t5": {"relative_attention_num_buckets": 32}}


def t5(name: str, seed: int) -> Any:
    kind, settings, _ = NETWORKS[name]
    return network(kind, {**settings, **LARGE[name]}, seed)


def written(name: str, seed: int) -> OwnText:
    text = own_text(fingerprint(t5(name, seed)))
    assert text is not None
    return text


@pytest.mark.parametrize("name", LARGE)
def test_what_is_said_is_what_the_network_itself_says(name: str) -> None:
    text = written(name, 3)
    assert text.passages.shape == text.following.shape == (TOKENS, LENGTH)
    passages, following = (torch.from_numpy(text.tokens[places]) for places in (text.passages, text.following))
    started = torch.cat([torch.full((TOKENS, 1), int(text.tokens[0])), following[:, :-1]], dim=1)
    with torch.no_grad():
        wanted = t5(name, 3)(input_ids=passages, decoder_input_ids=started).logits.numpy()
    np.testing.assert_allclose(text.logits, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_it_is_the_same_text_each_time_and_what_is_likely_is_written() -> None:
    one, two = written("t5", 3), written("t5", 3)
    assert np.array_equal(one.passages, two.passages)
    assert np.array_equal(one.following, two.following)
    chosen = np.take_along_axis(one.logits, one.following[..., None], axis=-1)
    assert (chosen[..., 0] > np.median(one.logits, axis=-1)).mean() > 0.7


def test_nothing_diverges_from_itself_and_laundering_changes_nothing() -> None:
    kind = ARCHITECTURES["t5"]
    state = state_of(kind.build(0))
    couplings = kind.couplings(kind.configuration)
    config = kind.build(0).config.to_dict()
    one, other = (take_fingerprint(StateSource(item), config=config) for item in (state, state_of(kind.build(1))))
    copy = take_fingerprint(StateSource(rescaled(permuted(state, couplings, 5), couplings, 6)), config=config)
    text = own_text(one)
    assert text is not None
    assert divergence_on(text, one) == pytest.approx(LEAST_DIVERGENCE)
    itself, apart = divergence_on(text, copy), divergence_on(text, other)
    assert itself is not None
    assert apart is not None
    assert itself < 1e-6 < 1e-3 * apart


def test_what_is_no_t5_or_not_whole_says_nothing() -> None:
    text, whole = written("t5", 3), fingerprint(t5("t5", 3))
    tables = "attention.relative_bias.weight"
    for lost in ("encoder.norm.final.weight", "decoder.layers.0.mlp.up.weight", f"encoder.layers.0.{tables}"):
        part = replace(whole, tensors=tuple(item for item in whole.tensors if item.role != lost))
        assert own_text(part) is None
        assert divergence_on(text, part) is None
    other = fingerprint(network(*NETWORKS["gpt2"][:2], 3))
    assert own_text(other) is None
    assert divergence_on(text, other) is None


def test_of_weights_that_overflow_nothing_is_drawn() -> None:
    model = t5("t5", 3)
    state = {
        name: tensor if "norm" in name else 3e38 * torch.ones_like(tensor) for name, tensor in state_of(model).items()
    }
    assert own_text(take_fingerprint(StateSource(state), config=model.config.to_dict())) is None
