"""Small lakes for the tests of discovery, readers and reading."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

Arrays = Mapping[str, np.ndarray]
WriteModel = Callable[..., Path]


def arrays(seed: int = 0, names: tuple[str, ...] = ("a.weight", "b.weight")) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal((6, 4)).astype(np.float32) for name in names}


@pytest.fixture
def write_model() -> WriteModel:
    """Write a small Hugging Face model directory: weights, and whatever other files are given by name."""

    def write(folder: Path, *, seed: int = 0, weights: str = "model.safetensors", **documents: object) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(arrays(seed), folder / weights)
        for name, content in documents.items():
            file = {"card": "README.md", "config": "config.json", "adapter_config": "adapter_config.json"}.get(
                name, name
            )
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / file).write_text(text, encoding="utf-8")
        return folder

    return write
