"""Writing models the way hubs hold them: `org/name/` with config.json, weights and, where there is one, a card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.lakes.training import State

_PUBLISHED = (
    (r"^vit\.layers\.(\d+)\.attention\.o_proj\.", r"vit.encoder.layer.\1.attention.output.dense."),
    (r"^vit\.layers\.(\d+)\.attention\.q_proj\.", r"vit.encoder.layer.\1.attention.attention.query."),
    (r"^vit\.layers\.(\d+)\.attention\.k_proj\.", r"vit.encoder.layer.\1.attention.attention.key."),
    (r"^vit\.layers\.(\d+)\.attention\.v_proj\.", r"vit.encoder.layer.\1.attention.attention.value."),
    (r"^vit\.layers\.(\d+)\.mlp\.fc1\.", r"vit.encoder.layer.\1.intermediate.dense."),
    (r"^vit\.layers\.(\d+)\.mlp\.fc2\.", r"vit.encoder.layer.\1.output.dense."),
    (r"^vit\.layers\.(\d+)\.", r"vit.encoder.layer.\1."),
)
"""Names inside recent library versions against the names in published files."""


def published(name: str) -> str:
    """The name that a tensor has in published files."""
    for pattern, replacement in _PUBLISHED:
        name, found = re.subn(pattern, replacement, name)
        if found:
            break
    return name


def published_adapter(state: State) -> State:
    """An adapter's tensors under the names that they have in published files."""
    prefix = "base_model.model."
    return {prefix + published(name.removeprefix(prefix)): tensor for name, tensor in state.items()}


def write_model(
    directory: Path, state: State, config: Mapping[str, Any], *, card: str | None = None, form: str = "safetensors"
) -> None:
    """Write one model.

    Parameters
    ----------
    form : str
        `safetensors`, `sharded` (two safetensors files and their index) or `bin` (a PyTorch archive).
    """
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True, default=str) + "\n")
    named = {published(name): tensor.contiguous() for name, tensor in state.items()}
    if form == "safetensors":
        save_file(named, directory / "model.safetensors", metadata={"format": "pt"})
    elif form == "bin":
        torch.save(named, directory / "pytorch_model.bin")
    elif form == "sharded":
        _write_shards(directory, named)
    else:
        raise ValueError(f"no form of weights is called {form!r}")
    if card is not None:
        (directory / "README.md").write_text(card)


def _write_shards(directory: Path, state: State) -> None:
    names = sorted(state)
    parts = [names[: len(names) // 2], names[len(names) // 2 :]]
    places: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05}-of-{len(parts):05}.safetensors"
        save_file({name: state[name] for name in part}, directory / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def write_adapter(directory: Path, state: State, config: Mapping[str, Any], *, card: str | None = None) -> None:
    """Write a LoRA adapter in the format of PEFT."""
    directory.mkdir(parents=True)
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True, default=str) + "\n")
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()},
        directory / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    if card is not None:
        (directory / "README.md").write_text(card)


def card(title: str, body: str, front: Mapping[str, object]) -> str:
    """A model card: front matter and a page of prose. JSON scalars and lists are YAML as well."""
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in front.items())
    return f"---\n{lines}---\n\n# {title}\n\n{body}\n"
