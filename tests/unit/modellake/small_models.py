"""Small models for the tests of the use cases."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

Arrays = dict[str, np.ndarray]


def weights(seed: int, *, layers: int = 2, width: int = 32) -> Arrays:
    """Random weights under the names of a small language model."""
    generator = np.random.default_rng(seed)
    arrays = {"model.embed_tokens.weight": generator.normal(0, 0.02, (64, width))}
    for layer in range(layers):
        for part in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"):
            arrays[f"model.layers.{layer}.{part}.weight"] = generator.normal(0, 0.02, (width, width))
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def halved(arrays: Arrays) -> Arrays:
    """The same weights, cut to half precision: a descent that leaves no doubt."""
    return {name: values.astype(np.float16) for name, values in arrays.items()}


def trained(arrays: Mapping[str, np.ndarray], seed: int, *, step: float = 0.005) -> Arrays:
    """A step in a random direction, of other lengths for other rows, as training makes one."""
    generator = np.random.default_rng(seed)
    moved = {}
    for name, values in arrays.items():
        lengths = generator.uniform(0.2, 1.8, size=(values.shape[0], 1))
        moved[name] = (values + step * lengths * generator.standard_normal(values.shape)).astype(np.float32)
    return moved


def adapter(seed: int, *, layers: int = 2, width: int = 32, rank: int = 4) -> Arrays:
    """A low-rank adapter of two projections of each layer, trained on nothing."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for layer in range(layers):
        for part in ("q_proj", "v_proj"):
            stem = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            arrays[f"{stem}.lora_A.weight"] = generator.normal(0, 0.02, (rank, width)).astype(np.float32)
            arrays[f"{stem}.lora_B.weight"] = generator.normal(0, 0.02, (width, rank)).astype(np.float32)
    return arrays


def write_adapter(folder: Path, arrays: Mapping[str, np.ndarray], **config: object) -> Path:
    """An adapter's directory as PEFT writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(arrays), folder / "adapter_model.safetensors")
    given = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]} | config
    (folder / "adapter_config.json").write_text(json.dumps(given), encoding="utf-8")
    return folder


def write_model(folder: Path, arrays: Mapping[str, np.ndarray], card: str | None = None) -> Path:
    """A model directory of one safetensors file, with a card where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(arrays), folder / "model.safetensors")
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def card(**front: object) -> str:
    """A card with some front matter."""
    return "---\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in front.items()) + "---\n# A model\n"


def write_rows(file: Path, numbers: Iterable[int]) -> Path:
    """A CSV file of numbered rows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("id,text\n" + "".join(f"{number},row {number}\n" for number in numbers), encoding="utf-8")
    return file


def truncate(file: Path, size: int) -> None:
    """Keep the beginning of a file."""
    file.write_bytes(file.read_bytes()[:size])


def lie(file: Path) -> None:
    """A header that promises more data than the file has."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 20], "data_offsets": [0, 4 << 20]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
