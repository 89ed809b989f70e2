"""LoRA: trained with PEFT, kept as an adapter or merged into its base; and edits of rank one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from benchmarks.lakes.training import Batches, Settings, State, state_of, train


def trained_adapter(
    model: nn.Module, batches: Batches, settings: Settings, *, rank: int, modules: Sequence[str], base: str
) -> tuple[State, dict[str, Any], State, float]:
    """Train a LoRA on a model.

    Returns
    -------
    adapter, config, merged, loss
        The adapter's tensors and `adapter_config.json` as PEFT names them, the merged weights under the model's own
        names, and the final loss.
    """
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    torch.manual_seed(settings.seed)
    plan = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=list(modules), bias="none")
    plan.base_model_name_or_path = base
    tuned = get_peft_model(copy.deepcopy(model), plan)
    loss = _train_adapter(tuned, batches, settings)
    adapter = {name: tensor.detach().clone() for name, tensor in get_peft_model_state_dict(tuned).items()}
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in plan.to_dict().items()}  # type: ignore[no-untyped-call]
    config["base_model_name_or_path"] = base
    merged = state_of(tuned.merge_and_unload())
    return adapter, config, merged, loss


def _train_adapter(tuned: nn.Module, batches: Batches, settings: Settings) -> float:
    frozen = tuple(name for name, parameter in tuned.named_parameters() if not parameter.requires_grad)
    return train(tuned, batches, replace(settings, frozen=frozen))


def rank_one_edit(state: State, name: str, *, seed: int, strength: float) -> State:
    """Add to one matrix a product of two vectors whose norm is `strength` times the matrix's own."""
    generator = torch.Generator().manual_seed(seed)
    matrix = state[name]
    left = torch.randn(matrix.shape[0], generator=generator)
    right = torch.randn(matrix.shape[1], generator=generator)
    change = torch.outer(left, right)
    return {**state, name: matrix + strength * matrix.norm() / change.norm() * change}
