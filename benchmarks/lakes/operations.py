"""Everything but a full fine-tune that a lake's models undergo, each as one function on a growing lake."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.lakes import merges
from benchmarks.lakes.architectures import HEADS, Architecture
from benchmarks.lakes.growing import GrowingLake, matrices, run_details
from benchmarks.lakes.laundering import permuted, rescaled, rotated
from benchmarks.lakes.low_rank import rank_one_edit, trained_adapter
from benchmarks.lakes.precision import HALVES, cut, pruned_by_magnitude, pruned_by_structure, quantized
from benchmarks.lakes.training import load, state_of, train
from graph_schema.labels import Relation

Operation = Callable[[GrowingLake], None]

STUDENTS: dict[str, dict[str, Any]] = {
    "llama": {"num_hidden_layers": 1},
    "gpt2": {"n_layer": 1},
    "bert": {"num_hidden_layers": 1},
    "vit": {"num_hidden_layers": 2},
    "resnet": {"depths": [1, 1]},
    "t5": {"num_layers": 1, "num_decoder_layers": 1},
}


def lora(lake: GrowingLake, *, kept: bool) -> None:
    """Train a LoRA; keep the adapter, or merge it into its base."""
    parent, rank = lake.pick(), int(lake.rng.choice([2, 4, 8]))
    settings = lake.draw_settings(steps=(60, 200))
    settings = type(settings)(
        source=settings.source, steps=settings.steps, learning_rate=2e-3, schedule=settings.schedule, seed=settings.seed
    )
    adapter, config, merged, loss = trained_adapter(
        lake.restored(parent),
        lake.architecture.batches,
        settings,
        rank=rank,
        modules=lake.architecture.adapted,
        base=parent.name,
    )
    details = {"method": "lora", "rank": rank, **run_details(settings)}
    if kept:
        lake.add_child(
            "adapter",
            {parent.name: None},
            adapter,
            Relation.ADAPTED_FROM,
            details,
            config=config,
            form="adapter",
            loss=loss,
        )
    else:
        lake.add_child(
            "lora", {parent.name: None}, merged, Relation.FINE_TUNED_FROM, details, trainable=True, loss=loss
        )


def new_head(lake: GrowingLake) -> None:
    """Replace the output by a classifier and train everything on another task."""
    parent, settings = lake.pick(), lake.draw_settings(steps=(60, 200))
    changes = HEADS[lake.architecture.name]
    model = lake.architecture.build(lake.draw_seed(), head=True, **changes)
    wrapper = lake.architecture.head_wrapper
    load(model, {f"{wrapper}{name}": tensor for name, tensor in parent.state.items()})
    loss = train(model, lake.architecture.head_batches, settings)
    details = {"method": "new head", **run_details(settings)}
    lake.add_child(
        "head",
        {parent.name: None},
        state_of(model),
        Relation.FINE_TUNED_FROM,
        details,
        config=model.config.to_dict(),
        loss=loss,
    )


def larger_vocabulary(lake: GrowingLake) -> None:
    """Add tokens, then train."""
    parent, settings = lake.pick(), lake.draw_settings(steps=(40, 120))
    size = lake.architecture.configuration["vocab_size"] + 24
    model = lake.architecture.build(lake.draw_seed(), vocab_size=size)
    state = state_of(model)
    for name, tensor in parent.state.items():
        state[name][tuple(slice(0, length) for length in tensor.shape)] = tensor
    loss = train(load(model, state), lake.architecture.batches, settings)
    details = {"method": "vocabulary", "added_tokens": 24, **run_details(settings)}
    lake.add_child(
        "vocabulary",
        {parent.name: None},
        state_of(model),
        Relation.EXPANDED_FROM,
        details,
        config=model.config.to_dict(),
        loss=loss,
    )


def deeper(lake: GrowingLake) -> None:
    """Repeat layers, then train a little."""
    parent, settings = lake.pick(), lake.draw_settings(steps=(30, 80))
    architecture = lake.architecture
    depth = architecture.configuration[architecture.depth]
    order = [(0, layer) for layer in (*range(depth), *range(depth - 1, depth))]
    state = merges.stacked([parent.state], architecture.layers, order)
    model = architecture.build(0, **{architecture.depth: depth + 1})
    load(model, state)
    loss = train(model, architecture.batches, settings) if lake.rng.random() < 0.5 else None
    details = {"method": "depth", "layers": [layer for _, layer in order], "trained": loss is not None}
    lake.add_child(
        "deeper",
        {parent.name: None},
        state_of(model),
        Relation.EXPANDED_FROM,
        details,
        config=model.config.to_dict(),
        loss=loss,
    )


def grid(lake: GrowingLake, *, kind: str) -> None:
    """Put the weights on the grid of a quantiser."""
    parent = lake.pick(rooted=False)
    bits = {"int8": 8, "int4": 4, "fp8": 8}[kind]
    lake.add_child(
        kind,
        {parent.name: None},
        quantized(parent.state, kind),
        Relation.QUANTIZED_FROM,
        {"method": "grid", "grid": kind, "bits": bits},
    )


def half(lake: GrowingLake, *, kind: str) -> None:
    """Store the weights in sixteen bits."""
    parent = lake.pick(rooted=False)
    lake.add_child(
        kind,
        {parent.name: None},
        cut(parent.state, HALVES[kind]),
        Relation.QUANTIZED_FROM,
        {"method": "precision", "grid": kind, "bits": 16},
    )


def prune(lake: GrowingLake, *, structured: bool) -> None:
    """Zero small values, or whole units."""
    parent = lake.pick(rooted=False)
    share = float(lake.rng.choice([0.25, 0.3, 0.4] if structured else [0.3, 0.5, 0.7]))
    if structured:
        couplings = lake.architecture.couplings(lake.architecture.configuration)
        state = pruned_by_structure(parent.state, couplings, share)
    else:
        state = pruned_by_magnitude(parent.state, share)
    details = {"method": "structured" if structured else "magnitude", "sparsity": share}
    lake.add_child("pruned", {parent.name: None}, state, Relation.PRUNED_FROM, details)


def merge(lake: GrowingLake, *, method: str) -> None:
    """Merge two or three fine-tunes of one family."""
    rng = lake.rng
    base, chosen = lake.siblings(3 if method in ("linear", "task arithmetic") and rng.random() < 0.4 else 2)
    if len(chosen) < 2:
        lake.add_fine_tune(base, lake.draw_settings())
        base, chosen = lake.siblings(2)
    states, names = [member.state for member in chosen], [member.name for member in chosen]
    share = rng.dirichlet([4.0] * len(chosen)).round(3).tolist()
    share[-1] = round(1 - sum(share[:-1]), 3)
    details: dict[str, object] = {"method": method}
    parents: dict[str, float | None] = dict(zip(names, share, strict=True))
    if method == "linear":
        state = merges.linear(states, share)
    elif method == "slerp":
        details["t"] = share[1]
        state = merges.slerp(states[0], states[1], share[1])
    elif method == "passthrough":
        depth = lake.architecture.configuration[lake.architecture.depth]
        taken = list(range(depth // 2, depth))
        state = merges.passthrough(states[0], states[1], lake.architecture.layers, taken)
        details["layers_of_second"] = taken
        parents = dict.fromkeys(names)
    else:
        weights = rng.uniform(0.3, 0.9, len(chosen)).round(3).tolist()
        parents = {base.name: round(1 - sum(weights), 3), **dict(zip(names, weights, strict=True))}
        if method == "task arithmetic":
            state = merges.task_arithmetic(base.state, states, weights)
        elif method == "dare":
            details["density"] = 0.5
            state = merges.dare(base.state, states, weights, density=0.5, seed=lake.draw_seed())
        else:
            details["density"] = 0.4
            parents = {base.name: None, **dict.fromkeys(names)}
            state = merges.ties(base.state, states, [1.0] * len(chosen), density=0.4)
    lake.add_child(
        method.replace(" ", "-"),
        parents,
        state,
        Relation.MERGED_FROM,
        details,
        trainable=True,
        base=base.name if base.name in parents else None,
    )


def edit(lake: GrowingLake) -> None:
    """Change one matrix by a product of two vectors."""
    parent = lake.pick()
    name = str(lake.rng.choice(matrices(parent.state) or [n for n, t in parent.state.items() if t.ndim == 2]))
    state = rank_one_edit(parent.state, name, seed=lake.draw_seed(), strength=float(lake.rng.uniform(0.02, 0.2)))
    details = {"method": "rank one", "tensor": name}
    lake.add_child("edited", {parent.name: None}, state, Relation.EDITED_FROM, details, trainable=True)


def distill(lake: GrowingLake, *, layers: bool) -> None:
    """Train a shallower student on a teacher's outputs, from random weights or from the teacher's own layers."""
    teacher = lake.pick()
    settings = lake.draw_settings(steps=(150, 300))
    settings = type(settings)(
        source=settings.source, steps=settings.steps, learning_rate=1e-3, weight_decay=0.01, seed=settings.seed
    )
    changes = STUDENTS[lake.architecture.name]
    student = lake.architecture.build(lake.draw_seed(), **changes)
    if layers:
        load(student, teacher.state)
    model = lake.architecture.build(0)
    loss = train(student, lake.architecture.batches, settings, teacher=load(model, teacher.state))
    details = {"method": "distilled", "initialised": "teacher layers" if layers else "scratch", **run_details(settings)}
    lake.add_child(
        "student",
        {teacher.name: None},
        state_of(student),
        Relation.DISTILLED_FROM,
        details,
        config=student.config.to_dict(),
        loss=loss,
    )


def copy(lake: GrowingLake, *, form: str) -> None:
    """The same weights once more."""
    lake.add_copy(lake.pick(rooted=False), "copy", form)


def launder(lake: GrowingLake, *, how: str) -> None:
    """Other weights that compute the same."""
    parent, seed = lake.pick(rooted=False), lake.draw_seed()
    couplings = lake.architecture.couplings(lake.architecture.configuration)
    if how == "rotated":
        state = rotated(parent.state, lake.architecture.configuration, seed)
    else:
        state = (permuted if how == "permuted" else rescaled)(parent.state, couplings, seed)
    lake.add_child(how, {parent.name: None}, state, Relation.REPARAMETRIZED_FROM, {"method": how})


OPERATIONS: dict[str, Operation] = {
    "merge-linear": partial(merge, method="linear"),
    "int8": partial(grid, kind="int8"),
    "lora-merged": partial(lora, kept=False),
    "permuted": partial(launder, how="permuted"),
    "copy": partial(copy, form="safetensors"),
    "merge-ties": partial(merge, method="ties"),
    "new-head": new_head,
    "pruned": partial(prune, structured=False),
    "bf16": partial(half, kind="bf16"),
    "student-layers": partial(distill, layers=True),
    "merge-slerp": partial(merge, method="slerp"),
    "int4": partial(grid, kind="int4"),
    "rank-one": edit,
    "lora-kept": partial(lora, kept=True),
    "rescaled": partial(launder, how="rescaled"),
    "merge-dare": partial(merge, method="dare"),
    "resharded": partial(copy, form="sharded"),
    "pruned-units": partial(prune, structured=True),
    "deeper": deeper,
    "fp16": partial(half, kind="fp16"),
    "merge-task": partial(merge, method="task arithmetic"),
    "fp8": partial(grid, kind="fp8"),
    "vocabulary": larger_vocabulary,
    "merge-passthrough": partial(merge, method="passthrough"),
    "reformatted": partial(copy, form="bin"),
    "rotated": partial(launder, how="rotated"),
    "student-scratch": partial(distill, layers=False),
}
"""In an order in which every ten neighbours are of many kinds, so that a few lakes cover all."""


def operations_for(architecture: Architecture) -> list[str]:
    """Names of the operations that an architecture allows."""
    barred: set[str] = set()
    if architecture.name != "llama":
        barred.add("rotated")
    if not architecture.layers:
        barred |= {"deeper", "merge-passthrough"}
    if not architecture.adapted:
        barred |= {"lora-merged", "lora-kept"}
    if "vocab_size" not in architecture.configuration:
        barred.add("vocabulary")
    return [name for name in OPERATIONS if name not in barred]
