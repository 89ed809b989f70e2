"""How long an inference takes as the lake grows: `python -m benchmarks.scale --models 125 250 500 1000 [--hub 5000]`.

The lakes are made up, not trained: fingerprints of the shapes of a model of half a billion parameters, whose sampled
values follow the process that training leaves behind (a few shared directions of low rank, noise of its own a run,
decay). That serves for times, and for seeing that nothing breaks; accuracy is measured on trained lakes.

`--models` are lakes of families of many sizes (a tenth of all in the largest); `--hub` is one family in which all
descend from one root but for a few. Fingerprints are written to a temporary folder and read back as the product does,
so that times are those of `modellake infer` without its database.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from ingest.fingerprint.file import read_fingerprint, write_fingerprint
from ingest.fingerprint.measure import levels
from ingest.fingerprint.plan import BlockPlan, Extent
from ingest.fingerprint.sampling import layer_free, sample
from lineage.inference import infer
from lineage.rules.quantization import to_bf16

Block = NDArray[np.float32]

HIDDEN, INNER, LAYERS, VOCABULARY, KEYS = 896, 4864, 24, 151_936, 128
TASKS, RANK = 12, 8


def shapes() -> list[tuple[str, tuple[int, ...]]]:
    """Roles and shapes of a decoder of half a billion parameters."""
    found: list[tuple[str, tuple[int, ...]]] = [("embed.token.weight", (VOCABULARY, HIDDEN))]
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        found += [
            (f"{at}.attention.query.weight", (HIDDEN, HIDDEN)),
            (f"{at}.attention.key.weight", (KEYS, HIDDEN)),
            (f"{at}.attention.value.weight", (KEYS, HIDDEN)),
            (f"{at}.attention.output.weight", (HIDDEN, HIDDEN)),
            (f"{at}.mlp.gate.weight", (INNER, HIDDEN)),
            (f"{at}.mlp.up.weight", (INNER, HIDDEN)),
            (f"{at}.mlp.down.weight", (HIDDEN, INNER)),
            (f"{at}.norm.attention.weight", (HIDDEN,)),
            (f"{at}.norm.mlp.weight", (HIDDEN,)),
        ]
    return [*found, ("norm.final.weight", (HIDDEN,))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One version of a made-up lake; `parent` is its position in the family, None for the root."""

    fingerprint: Fingerprint
    family: int
    parent: str | None


class Family:
    """Draws the members of one family, one after the other."""

    def __init__(self, number: int, size: int, *, hub: bool, plan: BlockPlan) -> None:
        self.number, self.size, self.hub = number, size, hub
        self.rng = np.random.default_rng((number, size))
        self.shapes = shapes()
        extents = plan.extents([(role, "F32", shape) for role, shape in self.shapes])
        self.extents = dict(zip((role for role, _ in self.shapes), extents, strict=True))
        self.tasks = {
            role: self.rng.standard_normal((TASKS, extent.rows + extent.columns, RANK), dtype=np.float32)
            for role, extent in self.extents.items()
        }

    def members(self) -> Iterator[Drawn]:
        """The root first, every other after its parent."""
        root = {role: self._draw(role, 0.02) for role, _ in self.shapes}
        known = [(self._fingerprint(root), root)]
        yield Drawn(fingerprint=known[0][0], family=self.number, parent=None)
        for _ in range(self.size - 1):
            choice = self.rng.random()
            at = 0 if choice < (0.97 if self.hub else 0.4) else int(self.rng.integers(len(known)))
            parent, blocks = known[at]
            child = self._quantized(blocks) if self.rng.random() < 0.1 else self._trained(blocks)
            found = self._fingerprint(child)
            if len(known) < 40 and found.tensors[0].bf16_exact != found.tensors[0].size:
                known.append((found, child))
            yield Drawn(fingerprint=found, family=self.number, parent=parent.version)

    def _draw(self, role: str, scale: float) -> Block:
        extent = self.extents[role]
        return scale * self.rng.standard_normal((extent.rows, extent.columns), dtype=np.float32)

    def _trained(self, blocks: dict[str, Block]) -> dict[str, Block]:
        task, length = int(self.rng.integers(TASKS)), float(np.exp(self.rng.uniform(-1, 1)))
        child = {}
        for role, block in blocks.items():
            left, right = np.split(self.tasks[role][task], [len(block)])
            signal = (3e-4 * length / np.sqrt(RANK)) * (left * self.rng.standard_normal(RANK)) @ right.T
            child[role] = ((1 - 1e-4 * length) * block + signal + self._draw(role, 1e-4 * length)).astype(np.float32)
        return child

    def _quantized(self, blocks: dict[str, Block]) -> dict[str, Block]:
        return {role: to_bf16(block.astype(np.float64)).astype(np.float32) for role, block in blocks.items()}

    def _fingerprint(self, blocks: dict[str, Block]) -> Fingerprint:
        tensors = tuple(_tensor(role, shape, blocks[role], self.extents[role]) for role, shape in sorted(self.shapes))
        version = blake2b("".join(item.content for item in tensors).encode(), digest_size=32).hexdigest()
        return Fingerprint(version=version, architecture="llama", tensors=tensors)


def _tensor(role: str, shape: tuple[int, ...], block: Block, extent: Extent) -> TensorFingerprint:
    """A record whose statistics are those of the block, scaled to the tensor's size."""
    size = int(np.prod(shape))
    share = size / max(block.size, 1)
    height = shape[0] if len(shape) > 1 else 1
    key = layer_free(role)
    digest = blake2b(block.tobytes(), digest_size=32).hexdigest()
    bits = block.view(np.uint32)
    values = block.astype(np.float64)
    return TensorFingerprint(
        name=role,
        role=role,
        shape=shape,
        dtype="F32",
        content=digest,
        multiset=digest[:32],
        size=size,
        zeros=int(share * np.count_nonzero(block == 0)),
        nonfinite=0,
        mean=float(values.mean()),
        variance=float(values.var()),
        skewness=0.0,
        kurtosis=3.0,
        minimum=float(values.min()),
        maximum=float(values.max()),
        l1=float(share * np.abs(values).sum()),
        l2=float(np.sqrt(share * np.square(values).sum())),
        bf16_exact=round(share * np.count_nonzero((bits & 0xFFFF) == 0)),
        f16_exact=0,
        mantissa_bits=23,
        levels=levels(block),
        rows=sample(key, "rows", height, extent.rows),
        columns=sample(key, "columns", size // height, extent.columns),
        block=block,
        sketch=np.zeros((0, 0), np.float32),
    )


def family_sizes(models: int) -> list[int]:
    """Sizes of the families of a lake: a tenth of all in the largest, then ever smaller ones, down to three."""
    sizes: list[int] = []
    rank = 1
    while sum(sizes) < models:
        sizes.append(min(max(3, models // (10 * rank)), models - sum(sizes)))
        rank += 1
    return sizes


def write_lake(folder: Path, sizes: Sequence[int], *, hub: bool, budget: int) -> dict[str, str | None]:
    """Write the fingerprints of a lake; the true parent of each version."""
    truth: dict[str, str | None] = {}
    plan = BlockPlan(budget=budget)
    for number, size in enumerate(sizes):
        for drawn in Family(number, size, hub=hub, plan=plan).members():
            version = drawn.fingerprint.version
            write_fingerprint(folder / f"{version}.fingerprint", drawn.fingerprint)
            truth[version] = drawn.parent
    return truth


def measure(sizes: Sequence[int], *, hub: bool, budget: int, console: Console) -> tuple[str, ...]:
    """One row of the table."""
    with tempfile.TemporaryDirectory(prefix="modellake-scale-") as name:
        folder = Path(name)
        truth = write_lake(folder, sizes, hub=hub, budget=budget)
        paths = sorted(folder.iterdir())
        console.print(f"{len(paths)} fingerprints, {sum(path.stat().st_size for path in paths) / 1e9:.2f} GB")
        start, processor = time.perf_counter(), _processor_time()
        fingerprints = [read_fingerprint(path) for path in paths]
        read = time.perf_counter() - start
        found = infer(fingerprints, least_confidence=0.0)
        whole, used = time.perf_counter() - start, _processor_time() - processor
    parents = {item.child: {parent.id for parent in item.parents} for item in found.derivations}
    children = [version for version, parent in truth.items() if parent is not None]
    right = sum(truth[version] in parents.get(version, ()) for version in children)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"{len(truth)}{' (one hub)' if hub else ''}",
        str(len(found.families)),
        f"{read:.1f}",
        f"{whole - read:.1f}",
        f"{used:.1f}",
        f"{right}/{len(children)}",
        f"{memory:.1f}",
    )


def _processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print times, the exponent of their growth, and the true edges found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, nargs="*", default=[125, 250, 500, 1000])
    parser.add_argument("--hub", type=int, help="size of one family in which nearly all descend from the root")
    parser.add_argument("--budget", type=int, default=BlockPlan().budget, help="bytes of a fingerprint")
    chosen = parser.parse_args(arguments)
    console = Console(width=120, stderr=True)
    table = Table("models", "families", "read, s", "infer, s", "processor, s", "true parents", "peak, GB")
    for models in chosen.models:
        table.add_row(*measure(family_sizes(models), hub=False, budget=chosen.budget, console=console))
    if chosen.hub:
        table.add_row(*measure([chosen.hub], hub=True, budget=chosen.budget, console=console))
    Console(file=sys.stdout, width=120).print(table)


if __name__ == "__main__":
    main()
