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
