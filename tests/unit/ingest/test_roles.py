"""Roles: one name for one part, whatever the library, the wrapper and the container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fingerprint import assign_roles

NAMES = {
    "llama": ("model.layers.3.mlp.down_proj.weight", "layers.3.mlp.down.weight"),
    "gpt2": ("transformer.h.3.mlp.c_proj.weight", "layers.3.mlp.down.weight"),
    "gpt_neox": ("gpt_neox.layers.3.mlp.dense_4h_to_h.weight", "layers.3.mlp.down.weight"),
    "opt": ("model.decoder.layers.3.fc2.weight", "layers.3.mlp.down.weight"),
    "bloom": ("transformer.h.3.mlp.dense_4h_to_h.weight", "layers.3.mlp.down.weight"),
    "bert": ("bert.encoder.layer.3.attention.self.query.weight", "layers.3.attention.query.weight"),
    "distilbert": ("distilbert.transformer.layer.3.ffn.lin2.weight", "layers.3.mlp.down.weight"),
    "t5": ("decoder.block.3.layer.2.DenseReluDense.wo.weight", "decoder.layers.3.mlp.down.weight"),
    "vit": ("vit.encoder.layer.3.attention.attention.query.weight", "layers.3.attention.query.weight"),
    "resnet": ("layer2.0.downsample.0.weight", "stages.2.0.shortcut.convolution.weight"),
    "clip": ("text_model.encoder.layers.3.mlp.fc2.weight", "text_model.layers.3.mlp.down.weight"),
}


@pytest.mark.parametrize("architecture", NAMES)
def test_every_family_names_its_parts(architecture: str) -> None:
    name, role = NAMES[architecture]
    found = assign_roles([name])
    assert (found.architecture, found.roles) == (architecture, {name: role})


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["h.0.ln_1.weight", "h.0.ln_2.weight"], ["layers.0.norm.attention.weight", "layers.0.norm.mlp.weight"]),
        (
            ["encoder.block.7.layer.0.layer_norm.weight", "encoder.block.7.layer.1.layer_norm.weight"],
            ["encoder.layers.7.norm.attention.weight", "encoder.layers.7.norm.mlp.weight"],
        ),
        (
            [f"model.layers.3.block_sparse_moe.experts.5.w{number}.weight" for number in (1, 2, 3)],
            [f"layers.3.mlp.experts.5.{part}.weight" for part in ("gate", "down", "up")],
        ),
    ],
)
def test_numbers_that_tell_parts_apart_are_heeded(names: list[str], roles: list[str]) -> None:
    assert list(assign_roles(names).roles.values()) == roles


def test_containers_agree() -> None:
    hub = assign_roles(["model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight", "lm_head.weight"])
    gguf = assign_roles(["token_embd.weight", "blk.0.ffn_gate.weight", "output.weight"], model_type="llama")
    assert set(hub.roles.values()) == set(gguf.roles.values())
    assert gguf.architecture == "llama"


def test_adapters_are_named_like_what_they_adapt() -> None:
    names = [
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight",
    ]
    assert list(assign_roles(names).roles.values()) == [
        "layers.0.attention.query.lora_A.weight",
        "layers.0.attention.query.lora_B.weight",
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"],
        ["model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"],
        ["layer1.0.conv1.weight", "layer1.0.bn1.num_batches_tracked"],
        ["bert.embeddings.word_embeddings.weight", "bert.embeddings.position_ids"],
        ["strange.weight", "strange.position_ids"],
    ],
)
def test_what_the_architecture_implies_has_no_role(names: list[str]) -> None:
    assert list(assign_roles(names).roles) == names[:1]


def test_the_unknown_keeps_its_name() -> None:
    found = assign_roles(["module.body.0.kernel", "module.body.1.kernel"])
    assert (found.architecture, found.roles["module.body.0.kernel"]) == ("", "body.0.kernel")


def test_parts_the_family_does_not_know_keep_their_name_too() -> None:
    found = assign_roles([NAMES["bert"][0], "bert.pooler.dense.weight", "classifier.weight"])
    assert found.roles["classifier.weight"] == "classifier.weight"


@given(st.lists(st.text(alphabet="ab.0model", min_size=1, max_size=12), unique=True, max_size=12))
def test_roles_are_unique_and_do_not_depend_on_the_order(names: list[str]) -> None:
    roles = assign_roles(names).roles
    assert len(set(roles.values())) == len(roles)
    assert roles == assign_roles(names[::-1]).roles


def test_ten_thousand_experts_are_named_fast() -> None:
    names = [f"model.layers.{n}.mlp.experts.{e}.up_proj.weight" for n in range(50) for e in range(200)]
    found = assign_roles(names)
    assert found.roles[names[-1]] == "layers.49.mlp.experts.199.up.weight"
