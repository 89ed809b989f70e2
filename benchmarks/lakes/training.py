"""Training: real gradient steps, the same on every run from the same seed."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

State = dict[str, Tensor]
Batch = Mapping[str, Tensor]
Batches = Callable[[str, np.random.Generator], Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One training run.

    Attributes
    ----------
    source : str
        What it learns, see `benchmarks.lakes.corpora`; several joined by `,` are mixed batch by batch.
    steps : int
    learning_rate, weight_decay : float
    optimizer : str
        `adamw` or `sgd` (with momentum 0.9).
    schedule : str
        `constant`, `linear` (to zero) or `cosine`; each after a warm-up of a twentieth of the steps.
    frozen : tuple of str
        Parameters whose names contain one of these stay as they are.
    seed : int
        Of the order of the data.
    """

    source: str
    steps: int
    learning_rate: float
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    schedule: str = "constant"
    frozen: tuple[str, ...] = ()
    seed: int = 0


def deterministic(seed: int, *, threads: int = 1) -> None:
    """Seed everything that draws, one thread, deterministic kernels."""
    for module in ("torch", "peft", "transformers"):
        warnings.filterwarnings("ignore", module=module)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    random.seed(seed)
    torch.manual_seed(seed)


def train(model: nn.Module, batches: Batches, settings: Settings, *, teacher: nn.Module | None = None) -> float:
    """Train in place and return the mean loss of the last ten steps, in nats.

    With a teacher the loss is the Kullback-Leibler divergence from its outputs at temperature 2.
    """
    rng = np.random.default_rng((settings.seed, 101))
    torch.manual_seed(settings.seed)
    sources = settings.source.split(",")
    for name, parameter in model.named_parameters():
        if any(part in name for part in settings.frozen):
            parameter.requires_grad_(False)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = _optimizer(trainable, settings)
    model.train()
    last: list[float] = []
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _pace(step, settings)
        batch = batches(sources[int(rng.integers(len(sources)))], rng)
        loss = model(**batch).loss if teacher is None else _divergence(model, teacher, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        last = [*last[-9:], float(loss.detach())]
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.eval()
    return sum(last) / len(last)


def _optimizer(parameters: list[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay, foreach=True
        )
    # Untouched rows get a gradient of zero, not none, so that the decay reaches them, as in common trainers.
    return torch.optim.AdamW(
        parameters, settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay, foreach=True
    )


def _pace(step: int, settings: Settings) -> float:
    warmup = max(1, settings.steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    left = 1 - (step - warmup) / max(1, settings.steps - warmup)
    if settings.schedule == "linear":
        return left
    if settings.schedule == "cosine":
        return 0.5 * (1 - float(np.cos(np.pi * left)))
    return 1.0


def _divergence(student: nn.Module, teacher: nn.Module, batch: Batch, temperature: float = 2.0) -> Tensor:
    with torch.no_grad():
        target = torch.softmax(teacher(**batch).logits / temperature, -1)
    logits = torch.log_softmax(student(**batch).logits / temperature, -1)
    return torch.nn.functional.kl_div(logits.flatten(0, -2), target.flatten(0, -2), reduction="batchmean")


def state_of(model: nn.Module) -> State:
    """A copy of the weights; of tied tensors only the first name is kept, as in a file."""
    seen: set[int] = set()
    state: State = {}
    for name, tensor in model.state_dict().items():
        if tensor.numel() and tensor.data_ptr() in seen:
            continue
        seen.add(tensor.data_ptr())
        state[name] = tensor.detach().clone().contiguous()
    return state


def load(model: nn.Module, state: State) -> nn.Module:
    """Put weights into a model; names the model lacks, and tensors of another shape, are left out.

    Raises
    ------
    ValueError
        If hardly any fits: what was trained then would be no child of these weights.
    """
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    if 3 * len(fitting) < min(len(own), len(state)):
        raise ValueError(f"only {len(fitting)} of {len(own)} tensors fit: {sorted(state)[:2]} into {sorted(own)[:2]}")
    with torch.no_grad():
        model.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in fitting.items()}, strict=False)
    return model
