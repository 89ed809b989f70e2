"""A lake while it grows: members, edges, and how parents are picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.lakes.architectures import Architecture
from benchmarks.lakes.training import Settings, State, load, state_of, train
from benchmarks.lakes.truth import TrueEdge
from graph_schema.labels import Relation

DEPTH = 5


@dataclass(slots=True, kw_only=True)
class Member:
    """One model of a growing lake.

    Attributes
    ----------
    trainable : bool
        Whether it has the lake's own configuration and may have children of any kind.
    form : str
        How it is written: a form of `benchmarks.lakes.writing`, or `adapter`.
    """

    name: str
    family: int
    depth: int
    state: State
    config: Mapping[str, Any]
    trainable: bool = True
    form: str = "safetensors"
    present: bool = True
    loss: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)


class GrowingLake:
    """Members and edges so far; draws everything from one generator.

    With `published`, all weights are stored in that dtype, and what is made from a member starts from what was stored.
    """

    def __init__(self, architecture: Architecture, seed: int, published: torch.dtype | None = None) -> None:
        self.architecture = architecture
        self.seed = seed
        self.published = published
        self.rng = np.random.default_rng((seed, sum(map(ord, architecture.name))))
        self.members: dict[str, Member] = {}
        self.edges: list[TrueEdge] = []
        self.duplicates: list[list[str]] = []
        self.initialisations: list[int] = []
        self.model: nn.Module = architecture.build(0)
        self.config: dict[str, Any] = self.architecture.build(0).config.to_dict()

    def draw_seed(self) -> int:
        """A seed for something that draws by itself."""
        return int(self.rng.integers(2**31))

    def draw_settings(self, *, steps: tuple[int, int] = (30, 300)) -> Settings:
        """A training run as people make them: short or long, gentle or not, sometimes with frozen layers or SGD."""
        rng = self.rng
        sgd = rng.random() < 0.15
        rates = (0.01, 0.1) if sgd else (1e-4, 1e-3)
        frozen: tuple[str, ...] = ()
        if rng.random() < 0.25:
            first = f"{self.architecture.layers}0." if self.architecture.layers else "stages.0."
            frozen = [("embed", "wte", "wpe", "shared"), (first,)][int(rng.integers(2))]
        return Settings(
            source=str(rng.choice(self.architecture.sources)),
            steps=int(np.exp(rng.uniform(np.log(steps[0]), np.log(steps[1])))),
            learning_rate=float(np.exp(rng.uniform(*np.log(rates)))),
            weight_decay=float(rng.choice([0.0, 0.0, 0.01, 0.1] if not sgd else [0.0, 1e-4])),
            optimizer="sgd" if sgd else "adamw",
            schedule=str(rng.choice(["constant", "linear", "cosine"])),
            frozen=frozen,
            seed=self.draw_seed(),
        )

    def pick(self, *, family: int | None = None, rooted: bool = True) -> Member:
        """A parent: often the root or the newest member, else anyone; never deeper than the lake may grow."""
        if family is None:
            shares = np.array([0.5, 0.3, 0.2][: len(self.initialisations)])
            family = int(self.rng.choice(len(shares), p=shares / shares.sum()))
        pool = [m for m in self.members.values() if m.trainable and m.family == family and m.depth < DEPTH]
        if not rooted and len(pool) > 1:
            pool = [member for member in pool if member.depth]
        choice = self.rng.random()
        if choice < 0.35:
            return pool[0]
        return pool[-1] if choice < 0.65 else pool[int(self.rng.integers(len(pool)))]

    def siblings(self, count: int) -> tuple[Member, list[Member]]:
        """The root and some fine-tunes of the largest family, for a merge."""
        families = [[m for m in self.members.values() if m.trainable and m.family == f] for f in self._families()]
        largest = max(families, key=len)
        tuned = [member for member in largest if member.depth]
        count = min(count, len(tuned))
        chosen = self.rng.choice(len(tuned), count, replace=False)
        return largest[0], [tuned[int(index)] for index in sorted(chosen)]

    def _families(self) -> range:
        return range(len(self.initialisations))

    def restored(self, member: Member) -> nn.Module:
        """The lake's model with a member's weights."""
        return load(self.model, member.state)

    def add_root(self, *, initialisation: int, source: str, seed: int, steps: int) -> Member:
        """Train a root from random weights."""
        family = len(self.initialisations)
        self.initialisations.append(initialisation)
        self.model = self.architecture.build(initialisation)
        settings = Settings(
            source=source,
            steps=steps,
            learning_rate=self.architecture.root_rate,
            weight_decay=0.1,
            schedule="cosine",
            seed=seed,
        )
        loss = train(self.model, self.architecture.batches, settings)
        return self._add(
            Member(
                name=self._name(family, "root"),
                family=family,
                depth=0,
                state=state_of(self.model),
                config=self.config,
                loss=loss,
                details=run_details(settings),
            )
        )

    def add_fine_tune(self, parent: Member, settings: Settings) -> Member:
        """Train all (or all but the frozen) weights further."""
        model = self.restored(parent)
        loss = train(model, self.architecture.batches, settings)
        details = {"method": "full", **run_details(settings)}
        return self.add_child(
            "tuned", {parent.name: None}, state_of(model), Relation.FINE_TUNED_FROM, details, trainable=True, loss=loss
        )

    def add_child(
        self,
        suffix: str,
        parents: Mapping[str, float | None],
        state: State,
        relation: Relation,
        details: Mapping[str, object],
        *,
        trainable: bool = False,
        config: Mapping[str, Any] | None = None,
        form: str = "safetensors",
        loss: float | None = None,
        base: str | None = None,
    ) -> Member:
        """Add a member and its edges; `base` names the parent that a merge's task vectors start from."""
        first = [self.members[name] for name in parents]
        family = first[0].family
        member = self._add(
            Member(
                name=self._name(family, suffix),
                family=family,
                depth=1 + max(parent.depth for parent in first),
                state=state,
                config=config or first[0].config,
                trainable=trainable,
                form=form,
                loss=loss,
                details=details,
            )
        )
        for name, weight in parents.items():
            role = {"role": "base"} if name == base else {}
            self.edges.append(
                TrueEdge(child=member.name, parent=name, relation=relation, weight=weight, details={**details, **role})
            )
        return member

    def add_copy(self, original: Member, suffix: str, form: str) -> None:
        """The same weights again, under another name, perhaps in other files."""
        copy = self._add(
            Member(
                name=self._name(original.family, suffix),
                family=original.family,
                depth=original.depth,
                state=original.state,
                config=original.config,
                trainable=False,
                form=form,
                details={"copy_of": original.name, "form": form},
            )
        )
        for group in self.duplicates:
            if original.name in group:
                group.append(copy.name)
                return
        self.duplicates.append([original.name, copy.name])

    def hide_one(self) -> None:
        """Make a ghost: take a fine-tune with children, that is no part of a merge or a copy, out of the lake."""
        parents = {edge.parent for edge in self.edges if edge.relation is Relation.FINE_TUNED_FROM}
        merged = {edge.parent for edge in self.edges if edge.relation is Relation.MERGED_FROM}
        copied = {name for group in self.duplicates for name in group}
        pool = [m for m in self.members.values() if m.depth and m.name in parents - merged - copied]
        if pool:
            pool[int(self.rng.integers(len(pool)))].present = False

    def _add(self, member: Member) -> Member:
        if self.published is not None:
            member.state = {name: self._stored(tensor) for name, tensor in member.state.items()}
        self.members[member.name] = member
        return member

    def _stored(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor as it comes back from storage; what is of another precision already stays so."""
        return tensor.to(self.published).to(tensor.dtype) if tensor.dtype == torch.float32 else tensor

    def _name(self, family: int, suffix: str) -> str:
        return f"family-{'abc'[family]}/{len(self.members):02}-{suffix}"


def run_details(settings: Settings) -> dict[str, object]:
    """The settings of a run as JSON values."""
    return {
        "source": settings.source,
        "steps": settings.steps,
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "optimizer": settings.optimizer,
        "schedule": settings.schedule,
        "frozen": list(settings.frozen),
    }


def matrices(state: State) -> Sequence[str]:
    """Names of the matrices inside the layers."""
    outer = ("embed", "wte", "wpe", "lm_head", "shared", "relative", "classifier", "predictions")
    return [n for n, t in state.items() if t.ndim == 2 and min(t.shape) > 8 and not any(part in n for part in outer)]


def dtype_name(state: State) -> str:
    """The dtype of the weights, as configurations name it."""
    kinds = [tensor.dtype for tensor in state.values() if tensor.is_floating_point()]
    return str(max(set(kinds), key=kinds.count) if kinds else torch.float32).removeprefix("torch.")
