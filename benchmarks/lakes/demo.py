"""The demonstration lake: a dozen small language models trained on the spot, with cards that tell, are silent, or lie.

    python -m benchmarks.lakes.demo OUT [--seed 0]

writes `OUT/org/name/` directories and the truth to `OUT.truth.json`.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch

from benchmarks.lakes.architectures import ARCHITECTURES
from benchmarks.lakes.low_rank import trained_adapter
from benchmarks.lakes.merges import linear
from benchmarks.lakes.precision import cut, pruned_by_magnitude, quantized
from benchmarks.lakes.training import Settings, State, deterministic, load, state_of, train
from benchmarks.lakes.truth import Family, TrueEdge, TrueModel, Truth, truth_path
from benchmarks.lakes.writing import card, write_model
from graph_schema.labels import Relation

SHAPE: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 176, "num_attention_heads": 4}
ROOT_STEPS = 400
START = datetime(2025, 1, 7, 9, 0, tzinfo=UTC)

TELLS, SILENT, NO_CARD = "tells", "silent", "no card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """One fine-tune of the plan; `says` is what the card does about the parent, or the wrong name it gives."""

    name: str
    parent: str
    source: str
    steps: int
    rate: float
    decay: float = 0.0
    says: str = TELLS


ROOTS = (
    ("acme/quill-base", "source/idlelib+tkinter,words/20"),
    ("borealis/lyra-base", "source/encodings+json,words/21"),
)
FINE_TUNES = (
    Tuned(name="acme/quill-code", parent="acme/quill-base", source="source/asyncio", steps=120, rate=5e-4, decay=0.1),
    Tuned(name="acme/quill-mail", parent="acme/quill-base", source="source/email", steps=90, rate=8e-4, says=SILENT),
    Tuned(name="acme/quill-records", parent="acme/quill-base", source="records/1", steps=60, rate=3e-4, decay=0.01),
    Tuned(
        name="coppice/quill-code-web", parent="acme/quill-code", source="source/http", steps=80, rate=5e-4, decay=0.1
    ),
    Tuned(
        name="coppice/quill-code-test",
        parent="acme/quill-code",
        source="source/unittest",
        steps=100,
        rate=3e-4,
        says=NO_CARD,
    ),
    Tuned(
        name="dune/quill-mail-tongue",
        parent="acme/quill-mail",
        source="words/3",
        steps=100,
        rate=5e-4,
        decay=0.05,
        says="borealis/lyra-base",
    ),
    Tuned(name="borealis/lyra-sums", parent="borealis/lyra-base", source="sums/10", steps=80, rate=5e-4, decay=0.1),
    Tuned(
        name="borealis/lyra-tongue",
        parent="borealis/lyra-base",
        source="words/5",
        steps=120,
        rate=4e-4,
        decay=0.01,
        says=SILENT,
    ),
    Tuned(name="ember/lyra-sums-more", parent="borealis/lyra-sums", source="sums/7", steps=70, rate=5e-4, decay=0.1),
)


def build(out: Path, seed: int = 0) -> Truth:
    """Train and write the lake; an existing `out` is refused, so that nothing of somebody's is overwritten."""
    if out.exists():
        raise SystemExit(f"{out}: exists already; name a new directory")
    deterministic(seed)
    work = out.with_name(out.name + ".part")
    if work.exists():
        shutil.rmtree(work)
    lake = _Lake(seed)
    lake.grow()
    for order, (name, (state, says, front)) in enumerate(lake.written.items()):
        text = None if says == NO_CARD else _card(name, says, front, lake.parents.get(name))
        config = {**lake.config, "torch_dtype": str(next(iter(state.values())).dtype).removeprefix("torch.")}
        write_model(work / name, state, config, card=text)
        lake.dates[name] = (START + timedelta(days=9 * order, hours=order)).isoformat()
    work.rename(out)
    truth = lake.truth()
    truth.write(truth_path(out))
    return truth


class _Lake:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.architecture = ARCHITECTURES["llama"]
        self.model = self.architecture.build(seed, **SHAPE)
        self.config = self.model.config.to_dict()
        self.written: dict[str, tuple[State, str, Mapping[str, object]]] = {}
        self.parents: dict[str, list[str]] = {}
        self.families: dict[str, str] = {}
        self.edges: list[TrueEdge] = []
        self.losses: dict[str, float] = {}
        self.dates: dict[str, str] = {}

    def grow(self) -> None:
        for number, (name, source) in enumerate(ROOTS):
            self.model = self.architecture.build(1000 * self.seed + number, **SHAPE)
            settings = Settings(
                source=source, steps=ROOT_STEPS, learning_rate=3e-3, weight_decay=0.1, schedule="cosine", seed=number
            )
            self.losses[name] = train(self.model, self.architecture.batches, settings)
            self._keep(name, state_of(self.model), [], front={"datasets": source.split(",")})
        for number, tuned in enumerate(FINE_TUNES):
            self._fine_tune(tuned, seed=100 * self.seed + number)
        self._lora("coppice/quill-base-zip", "acme/quill-base", "source/zipfile")
        web = self.written["coppice/quill-code-web"][0]
        self._derive(
            "coppice/quill-code-web-int8", "coppice/quill-code-web", quantized(web, "int8"),
            Relation.QUANTIZED_FROM, {"grid": "int8", "bits": 8}, "quantized",
        )  # fmt: skip
        self._derive(
            "acme/quill-code-bf16", "acme/quill-code", cut(self.written["acme/quill-code"][0], torch.bfloat16),
            Relation.QUANTIZED_FROM, {"grid": "bf16", "bits": 16}, "quantized",
        )  # fmt: skip
        self._derive(
            "ember/lyra-tongue-sparse", "borealis/lyra-tongue",
            pruned_by_magnitude(self.written["borealis/lyra-tongue"][0], 0.5),
            Relation.PRUNED_FROM, {"method": "magnitude", "sparsity": 0.5}, None,
        )  # fmt: skip
        self._merge("dune/quill-blend", {"acme/quill-code": 0.6, "acme/quill-mail": 0.4})
        self._keep("fern/lyra-sums-mirror", self.written["borealis/lyra-sums"][0], ["borealis/lyra-sums"], says=NO_CARD)

    def _keep(
        self,
        name: str,
        state: State,
        parents: list[str],
        *,
        says: str = TELLS,
        front: Mapping[str, object] | None = None,
    ) -> None:
        self.written[name] = (state, says, front or {})
        self.parents[name] = parents
        self.families[name] = self.families[parents[0]] if parents else name

    def _derive(
        self,
        name: str,
        parent: str,
        state: State,
        relation: Relation,
        details: dict[str, object],
        claimed: str | None,
    ) -> None:
        front = {} if claimed is None else {"base_model_relation": claimed}
        self._keep(name, state, [parent], says=SILENT if claimed is None else TELLS, front=front)
        self.edges.append(TrueEdge(child=name, parent=parent, relation=relation, details=details))

    def _settings(self, tuned: Tuned, seed: int) -> Settings:
        return Settings(
            source=tuned.source,
            steps=tuned.steps,
            learning_rate=tuned.rate,
            weight_decay=tuned.decay,
            schedule="linear",
            seed=seed,
        )

    def _fine_tune(self, tuned: Tuned, *, seed: int) -> None:
        load(self.model, self.written[tuned.parent][0])
        self.losses[tuned.name] = train(self.model, self.architecture.batches, self._settings(tuned, seed))
        front: dict[str, object] = {"base_model_relation": "finetune", "datasets": [tuned.source]}
        self._keep(tuned.name, state_of(self.model), [tuned.parent], says=tuned.says, front=front)
        details: dict[str, object] = {
            "method": "full",
            "source": tuned.source,
            "steps": tuned.steps,
            "learning_rate": tuned.rate,
            "weight_decay": tuned.decay,
        }
        self.edges.append(
            TrueEdge(child=tuned.name, parent=tuned.parent, relation=Relation.FINE_TUNED_FROM, details=details)
        )

    def _lora(self, name: str, parent: str, source: str) -> None:
        load(self.model, self.written[parent][0])
        settings = Settings(source=source, steps=80, learning_rate=2e-3, seed=self.seed + 50)
        _, _, merged, loss = trained_adapter(
            self.model, self.architecture.batches, settings, rank=4, modules=self.architecture.adapted, base=parent
        )
        self.losses[name] = loss
        self._keep(name, merged, [parent], front={"base_model_relation": "finetune", "datasets": [source]})
        details = {"method": "lora", "rank": 4, "source": source, "steps": 80}
        self.edges.append(TrueEdge(child=name, parent=parent, relation=Relation.FINE_TUNED_FROM, details=details))

    def _merge(self, name: str, weights: dict[str, float]) -> None:
        merged = linear([self.written[parent][0] for parent in weights], list(weights.values()))
        self._keep(name, merged, list(weights), front={"base_model_relation": "merge"})
        self.edges += [
            TrueEdge(
                child=name,
                parent=parent,
                relation=Relation.MERGED_FROM,
                weight=weight,
                details={"method": "linear"},
            )
            for parent, weight in weights.items()
        ]

    def truth(self) -> Truth:
        return Truth(
            architecture="llama",
            seed=self.seed,
            models=tuple(
                TrueModel(
                    name=name,
                    family=self.families[name],
                    created_at=self.dates[name],
                    loss=self.losses.get(name),
                    details={"card": says},
                )
                for name, (_, says, _) in self.written.items()
            ),
            edges=tuple(self.edges),
            families=tuple(
                Family(
                    root=root,
                    initialisation=1000 * self.seed + number,
                    members=tuple(name for name, family in self.families.items() if family == root),
                )
                for number, (root, _) in enumerate(ROOTS)
            ),
            duplicates=(("borealis/lyra-sums", "fern/lyra-sums-mirror"),),
            settings={"configuration": {**self.architecture.configuration, **SHAPE}},
        )


def _card(name: str, says: str, front: Mapping[str, object], parents: list[str] | None) -> str:
    short = name.split("/")[1]
    matter: dict[str, object] = {
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
    }
    if says == SILENT:
        return card(short, "A small byte-level language model.", matter)
    if not parents:
        return card(short, "A small byte-level language model, trained from scratch.", {**matter, **front})
    named = parents if says == TELLS else [says]
    matter |= {"base_model": named if len(named) > 1 else named[0], **front}
    return card(short, f"Made from {' and '.join(named)}.", matter)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    truth = build(options.out, options.seed)
    print(f"{options.out}: {len(truth.models)} models, {len(truth.edges)} edges; truth in {truth_path(options.out)}")


if __name__ == "__main__":
    main()
