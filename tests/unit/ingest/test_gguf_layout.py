"""GGUF files in llama.cpp's layout hold the network that they were converted from, tensor by tensor."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from ingest.discovery import discover
from ingest.model_source import ModelSource
from ingest.readers import open_tensors
from ingest.reading import VersionReading, read_model

Weights = dict[str, np.ndarray]
HEADS, KEY_HEADS, WIDTH, LAYERS = 4, 2, 64, 2


def paired(weights: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to the rows of a query or key projection."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def llama(seed: int = 0) -> Weights:
    """A small random Llama with grouped queries and biases, under the names of its checkpoint."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(0, 0.05, shape).astype(np.float32)

    keys = WIDTH // HEADS * KEY_HEADS
    weights = {"model.embed_tokens.weight": normal(96, WIDTH), "model.norm.weight": 1 + normal(WIDTH)}
    weights["lm_head.weight"] = normal(96, WIDTH)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        for name, rows in {"q": WIDTH, "k": keys, "v": keys, "o": WIDTH}.items():
            weights[f"{at}self_attn.{name}_proj.weight"] = normal(rows, WIDTH)
            if name != "o":
                weights[f"{at}self_attn.{name}_proj.bias"] = normal(rows)
        for name, shape in {"gate": (128, WIDTH), "up": (128, WIDTH), "down": (WIDTH, 128)}.items():
            weights[f"{at}mlp.{name}_proj.weight"] = normal(*shape)
        weights[f"{at}input_layernorm.weight"] = 1 + normal(WIDTH)
        weights[f"{at}post_attention_layernorm.weight"] = 1 + normal(WIDTH)
    return weights


def write_gguf(
    file: Path, weights: Mapping[str, np.ndarray], architecture: str, *, kind: str = "F32", **heads: object
) -> None:
    """A GGUF file under the names that llama.cpp gives; matrices of the kind, the rest F32."""
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture), 8)
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[getattr(gguf.MODEL_ARCH, architecture)])
    for name, count in heads.items():
        getattr(writer, f"add_{name}")(count)
    for name, values in weights.items():
        mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert mapped is not None, name
        if values.ndim > 1 and kind != "F32":
            quantized = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(mapped, gguf.quants.quantize(values, quantized), raw_dtype=quantized)
        else:
            writer.add_tensor(mapped, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def converted(weights: Weights) -> Weights:
    """As the converter of the Llama family orders them."""
    heads = {"q_proj": HEADS, "k_proj": KEY_HEADS}
    found = dict(weights)
    for name, values in weights.items():
        for part, count in heads.items():
            if part in name:
                found[name] = np.ascontiguousarray(paired(values, count))
    return found


def reading(path: Path) -> VersionReading:
    (source,) = (item for item in discover([path]) if isinstance(item, ModelSource))
    found = read_model(source)
    assert found.problems == ()
    return found.versions[0]


def test_a_llama_in_gguf_is_the_version_of_its_checkpoint(tmp_path: Path) -> None:
    weights = llama()
    save_file(weights, tmp_path / "hub.safetensors")
    write_gguf(tmp_path / "l.gguf", converted(weights), "LLAMA", head_count=HEADS, head_count_kv=KEY_HEADS)
    hub, read = reading(tmp_path / "hub.safetensors"), reading(tmp_path / "l.gguf")
    assert read.version.id == hub.version.id
    assert {t.role: t.content for t in read.fingerprint.tensors} == {t.role: t.content for t in hub.fingerprint.tensors}


def test_every_slice_of_a_quantised_projection_is_in_order(tmp_path: Path) -> None:
    weights = llama()
    write_gguf(tmp_path / "l.gguf", converted(weights), "LLAMA", kind="Q8_0", head_count=HEADS, head_count_kv=KEY_HEADS)
    name = "model.layers.1.self_attn.k_proj.weight"
    kind = gguf.GGMLQuantizationType.Q8_0
    expected = gguf.quants.dequantize(gguf.quants.quantize(weights[name], kind), kind).reshape(-1)
    (source,) = discover([tmp_path / "l.gguf"])
    assert isinstance(source, ModelSource)
    with open_tensors(source.weights[0].files) as opened:
        (info,) = (item for item in opened.tensors if item.name == "blk.1.attn_k.weight")
        for start in range(0, info.size, 37):
            for stop in (start + 1, start + 100, start + 700, info.size):
                stop = min(stop, info.size)
                np.testing.assert_array_equal(opened.read(info, start, stop), expected[start:stop])


def test_heads_may_differ_from_layer_to_layer(tmp_path: Path) -> None:
    weights = llama()
    stored = dict(weights)
    for layer, keys in enumerate((1, 2)):
        for part, heads in (("q", HEADS), ("k", keys)):
            for kind in ("weight", "bias"):
                name = f"model.layers.{layer}.self_attn.{part}_proj.{kind}"
                stored[name] = np.ascontiguousarray(paired(weights[name], heads))
    write_gguf(tmp_path / "l.gguf", stored, "DECI", head_count=[HEADS, HEADS], head_count_kv=[1, 2])
    save_file(weights, tmp_path / "hub.safetensors")
    assert reading(tmp_path / "l.gguf").version.id == reading(tmp_path / "hub.safetensors").version.id


@pytest.mark.parametrize(
    ("architecture", "heads"), [("QWEN2", {"head_count": HEADS}), ("LLAMA", {}), ("LLAMA", {"head_count": 5})]
)
def test_what_is_not_said_to_be_reordered_is_left_as_it_is(tmp_path: Path, architecture: str, heads: dict) -> None:
    weights = llama()
    write_gguf(tmp_path / "l.gguf", weights, architecture, **heads)
    save_file(weights, tmp_path / "hub.safetensors")
    assert reading(tmp_path / "l.gguf").version.id == reading(tmp_path / "hub.safetensors").version.id


def test_the_experts_of_a_mixture_are_taken_apart(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    hub = llama()
    stored = converted(hub)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        for part in ("gate", "up", "down"):
            del hub[f"{at}mlp.{part}_proj.weight"], stored[f"{at}mlp.{part}_proj.weight"]
        router = generator.normal(size=(3, WIDTH)).astype(np.float32)
        hub[f"{at}block_sparse_moe.gate.weight"] = stored[f"{at}block_sparse_moe.gate.weight"] = router
        for part, shape in {"w1": (32, WIDTH), "w3": (32, WIDTH), "w2": (WIDTH, 32)}.items():
            experts = generator.normal(size=(3, *shape)).astype(np.float32)
            stored[f"layers.{layer}.feed_forward.experts.{part}.weight"] = experts
            for number in range(3):
                hub[f"{at}block_sparse_moe.experts.{number}.{part}.weight"] = experts[number].copy()
    write_gguf(tmp_path / "m.gguf", stored, "LLAMA", head_count=HEADS, head_count_kv=KEY_HEADS)
    save_file(hub, tmp_path / "hub.safetensors")
    assert reading(tmp_path / "m.gguf").version.id == reading(tmp_path / "hub.safetensors").version.id


def fused(weights: np.ndarray) -> np.ndarray:
    """What llama.cpp's converters of GPT-NeoX and BLOOM do to the fused projection."""
    apart = weights.reshape(HEADS, 3, weights.shape[0] // HEADS // 3, *weights.shape[1:])
    return np.ascontiguousarray(apart.swapaxes(0, 1).reshape(weights.shape))


def test_the_fused_projection_of_gpt_neox_is_put_in_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    hub: Weights = {"gpt_neox.embed_in.weight": generator.normal(size=(32, 16)).astype(np.float32)}
    hub["gpt_neox.final_layer_norm.weight"] = np.ones(16, np.float32)
    for kind, shape in {"weight": (48, 16), "bias": (48,)}.items():
        hub[f"gpt_neox.layers.0.attention.query_key_value.{kind}"] = generator.normal(size=shape).astype(np.float32)
    stored = {name: fused(values) if "query" in name else values for name, values in hub.items()}
    write_gguf(tmp_path / "n.gguf", stored, "GPTNEOX", head_count=HEADS)
    save_file(hub, tmp_path / "hub.safetensors")
    read = reading(tmp_path / "n.gguf")
    assert read.version.id == reading(tmp_path / "hub.safetensors").version.id
    assert read.fingerprint.architecture == "gpt_neox"


def test_the_linear_layers_of_gpt2_are_put_in_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    shapes = {"wte.weight": (32, 16), "wpe.weight": (8, 16), "h.0.attn.c_attn.weight": (16, 48)}
    shapes |= {"h.0.mlp.c_fc.weight": (16, 64), "h.0.mlp.c_proj.weight": (64, 16), "h.0.attn.c_attn.bias": (48,)}
    hub = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    stored = {name: np.ascontiguousarray(values.T) if ".c_" in name else values for name, values in hub.items()}
    write_gguf(tmp_path / "g.gguf", stored, "GPT2", head_count=HEADS)
    save_file(hub, tmp_path / "hub.safetensors")
    assert reading(tmp_path / "g.gguf").version.id == reading(tmp_path / "hub.safetensors").version.id
