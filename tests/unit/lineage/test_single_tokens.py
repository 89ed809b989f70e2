"""What networks say to single tokens: held against the networks themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from benchmarks.lakes.architectures import ARCHITECTURES  # noqa: E402
from benchmarks.lakes.laundering import permuted, rescaled  # noqa: E402
from benchmarks.lakes.training import load, state_of  # noqa: E402
from benchmarks.laundered import StateSource  # noqa: E402
from graph_schema.fingerprint import Fingerprint, TensorFingerprint  # noqa: E402
from ingest.fingerprint import take_fingerprint  # noqa: E402
from lineage.behaviour.output_geometry import LEAST_OUTPUTS  # noqa: E402
from lineage.behaviour.single_tokens import LEAST_DIVERGENCE, POSITIONS, Answers, divergence, single_tokens  # noqa: E402

TOKENS = 40
SMALL = {"vocab_size": TOKENS}
WIDE = {**SMALL, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 6}
T5 = {**SMALL, "d_model": 32, "d_kv": 12, "d_ff": 40, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 3}
NETWORKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "llama": ("LlamaForCausalLM", {**WIDE, "num_key_value_heads": 6}, 0),
    "shared values": ("LlamaForCausalLM", {**WIDE, "num_key_value_heads": 2}, 8),
    "tied": ("LlamaForCausalLM", {**WIDE, "num_key_value_heads": 6, "tie_word_embeddings": True}, 0),
    "biases": ("Qwen2ForCausalLM", {**WIDE, "num_key_value_heads": 3}, 8),
    "gpt2": ("GPT2LMHeadModel", {**SMALL, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}, 0),
    "bert": ("BertForMaskedLM", {**WIDE, "max_position_embeddings": 64}, 0),
    "distilbert": ("DistilBertForMaskedLM", {**SMALL, "dim": 32, "hidden_dim": 40, "n_layers": 2, "n_heads": 4}, 0),
    "t5": ("T5ForConditionalGeneration", T5, 0),
    "gated t5": (
        "T5ForConditionalGeneration",
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        0,
    ),
}


def network(kind: str, settings: dict[str, Any], seed: int) -> Any:
    made = getattr(transformers, kind)
    torch.manual_seed(seed)
    model = made(made.config_class(**settings)).eval()
    if not settings.get("tie_word_embeddings", True):
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def fingerprint(model: Any) -> Fingerprint:
    return take_fingerprint(StateSource(state_of(model)), config=model.config.to_dict())


def asked(model: Any) -> "torch.Tensor":
    """Logits of the network itself."""
    tokens = torch.arange(TOKENS)[:, None]
    kind = type(model).__name__
    with torch.no_grad():
        if kind.startswith("T5"):
            others = (tokens, torch.roll(tokens, TOKENS // 2, 0))
            found = [model(input_ids=tokens, decoder_input_ids=other).logits for other in others]
        elif kind.startswith("Distil"):
            rows = model.distilbert.embeddings
            made = [rows.word_embeddings(tokens) + rows.position_embeddings(torch.tensor(place)) for place in POSITIONS]
            # It adds the first position by itself.
            made = [item - rows.position_embeddings(torch.tensor(0)) for item in made]
            found = [model(inputs_embeds=item).logits for item in made]
        elif kind.startswith(("GPT2", "Bert")):
            found = [model(input_ids=tokens, position_ids=torch.full((TOKENS, 1), place)).logits for place in POSITIONS]
        else:
            found = [model(input_ids=tokens).logits]
    return torch.stack([item[:, 0] for item in found])


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_those_of_the_network_itself(name: str) -> None:
    kind, settings, size = NETWORKS[name]
    model = network(kind, settings, 3)
    answers = single_tokens(fingerprint(model))
    assert answers is not None
    wanted = asked(model).numpy()
    np.testing.assert_allclose(answers.logits[size], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bert", "t5"])
def test_laundering_changes_no_answer(architecture: str) -> None:
    kind = ARCHITECTURES[architecture]
    state = state_of(kind.build(0))
    couplings = kind.couplings(kind.configuration)
    copy = rescaled(permuted(state, couplings, 5), couplings, 6)
    one, two = (single_tokens(fingerprint(load(kind.build(1), each))) for each in (state, copy))
    assert one is not None
    assert two is not None
    size = 16 if architecture == "llama" else 0
    np.testing.assert_allclose(one.logits[size], two.logits[size], atol=1e-4)


def test_what_is_not_known_or_not_whole_says_nothing() -> None:
    whole = fingerprint(network(*NETWORKS["llama"][:2], 3))
    assert single_tokens(replace(whole, architecture="bloom")) is None
    assert single_tokens(replace(whole, architecture="")) is None
    for role in ("norm.final.weight", "layers.1.mlp.gate.weight", "embed.token.weight"):
        assert single_tokens(replace(whole, tensors=tuple(t for t in whole.tensors if t.role != role))) is None
    first = next(tensor for tensor in whole.tensors if tensor.role == "layers.0.mlp.up.weight")
    sampled = replace(first, rows=first.rows[:9], block=first.block[:9])
    assert single_tokens(replace(whole, tensors=tuple(sampled if t is first else t for t in whole.tensors))) is None


def test_what_is_not_whole_is_read_again_where_weights_are_at_hand() -> None:
    whole = fingerprint(network(*NETWORKS["gpt2"][:2], 3))
    roles = whole.by_role()

    class AtHand:
        """The weights themselves."""

        def has(self, version: str) -> bool:
            return version == whole.version

        def matrix(self, version: str, tensor: TensorFingerprint) -> NDArray[np.floating]:
            return roles[tensor.role].block.reshape(tensor.shape)

    tensors = [
        replace(tensor, rows=tensor.rows[:9], block=tensor.block[:9]) if ".mlp." in tensor.role else tensor
        for tensor in whole.tensors
    ]
    part = replace(whole, tensors=tuple(tensors))
    assert single_tokens(part) is None
    one, two = single_tokens(part, AtHand()), single_tokens(whole)
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one.logits[0], two.logits[0], rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_fit_together_or_overflow_say_nothing() -> None:
    model = network(*NETWORKS["llama"][:2], 3)
    state = state_of(model)
    config = model.config.to_dict()
    state["model.layers.0.self_attn.v_proj.weight"] = torch.ones(48, 47)
    assert single_tokens(take_fingerprint(StateSource(state), config=config)) is None
    state["model.layers.0.self_attn.v_proj.weight"] = torch.full((48, 48), 3e38)
    state["model.layers.0.self_attn.o_proj.weight"] = torch.full((48, 48), 3e38)
    state["lm_head.weight"] = torch.full((TOKENS, 48), 3e38)
    assert single_tokens(take_fingerprint(StateSource(state), config=config)) is None


answers = st.integers(0, 10_000).map(
    lambda seed: Answers(
        tokens=np.arange(12),
        logits={0: np.random.default_rng(seed).standard_normal((2, 12, 12)).astype(np.float32)},
    )
)


@given(answers, answers, st.floats(-5, 5))
def test_divergence_is_none_from_itself_and_heeds_no_common_addition(one: Answers, two: Answers, added: float) -> None:
    assert divergence(one, one) == {0: pytest.approx(LEAST_DIVERGENCE)}
    assert divergence(one, two)[0] > 0 or one.tokens is two.tokens
    louder = Answers(tokens=two.tokens, logits={0: two.logits[0] + np.float32(added)})
    assert divergence(one, louder)[0] == pytest.approx(divergence(one, two)[0], rel=1e-3, abs=1e-6)


@given(answers, answers)
def test_only_tokens_that_both_were_asked_for_count(one: Answers, two: Answers) -> None:
    kept = np.arange(2, 11)
    part = Answers(tokens=kept, logits={0: two.logits[0][:, kept][:, :, kept]})
    same = Answers(tokens=kept, logits={0: one.logits[0][:, kept][:, :, kept]})
    assert divergence(one, part) == pytest.approx(divergence(same, part))
    few = Answers(tokens=np.arange(LEAST_OUTPUTS - 1), logits={0: two.logits[0][:, :7, :7]})
    assert divergence(one, few) == {}


def test_settings_that_differ_are_not_compared() -> None:
    one = Answers(tokens=np.arange(9), logits={8: np.zeros((1, 9, 9), np.float32)})
    assert divergence(one, replace(one, logits={16: one.logits[8]})) == {}
    assert divergence(one, replace(one, logits={8: np.zeros((4, 9, 9), np.float32)})) == {}
