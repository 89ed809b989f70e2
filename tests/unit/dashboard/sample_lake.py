"""A small lake with everything that the dashboard must cope with, as rows for a real store."""

from __future__ import annotations

from pathlib import Path

from cypher.store import Store
from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.graph import Edge, Rows
from graph_schema.identity import digest, ghost_id
from graph_schema.labels import Basis, Label, Relation, VersionKind
from graph_schema.records import Agent, Model, Version
from modellake.settings import Settings

HOSTILE = '<img src=x onerror="window.hostile=1">[click](https://example.invalid)**bold** :red[x]'
FINE_TUNES = 12


def version_id(name: str) -> str:
    return digest("sample", name)


def _version(name: str, **more: object) -> Version:
    given = {
        "architecture": "LlamaForCausalLM",
        "dtype": "BF16",
        "parameters": 126_300_000,
        "formats": ("safetensors",),
    }
    return Version(id=version_id(name), name=name, **(given | more))  # type: ignore[arg-type]


def derivation(
    child: str, *parents: str, relation=Relation.FINE_TUNED_FROM, basis=Basis.INFERRED, **more
) -> Derivation:
    given = {"confidence": 0.93, "method": "tail_distance" if basis is Basis.INFERRED else "card"} | more
    ends = tuple(parent if isinstance(parent, Parent) else Parent(id=_id(parent)) for parent in parents)
    return Derivation(child=_id(child), parents=ends, relation=relation, basis=basis, **given)


def _id(name: str) -> str:
    return name if name.startswith("ghost:") else version_id(name)


TAIL = Observation(
    kind="tail_distance",
    statement="The tail of the difference is 0.012 of the family's median.",
    method="tail_distance",
    value=0.012,
    log_odds=4.1,
)
CLOCK = Observation(
    kind="decay_clock", statement="The norms grow from parent to child.", method="direction", value=0.4, log_odds=-0.7
)
CARD = Observation(
    kind="card_base_model",
    statement="The card's front matter names it as the base model.",
    method="front_matter",
    file="README.md",
    field="base_model",
    excerpt=f"base_model: org/base  # {HOSTILE}",
)


def sample_rows() -> Rows:
    fine_tunes = [f"org/tune-{number:02d}" for number in range(FINE_TUNES)]
    names = ["org/base", "org/chat", "lab/chat-q4", "lab/stray", "org/merge", "other/lone", HOSTILE, *fine_tunes]
    versions = [_version(name) for name in names]
    versions.append(_version("lab/adapter", kind=VersionKind.ADAPTER, parameters=900_000))
    absent = ghost_id("upstream/giant")
    versions.append(Version(id=absent, name="upstream/giant", kind=VersionKind.GHOST))
    models = [
        Model(id=item.name, name=item.name, organization=item.name.split("/")[0], license="apache-2.0")
        for item in versions
        if item.kind is not VersionKind.GHOST
    ]
    rows = Rows.of(
        [*versions, *models],
        [
            Edge(
                relation=Relation.HAS_VERSION,
                source=(Label.MODEL, item.name),
                target=(Label.VERSION, item.id),
                properties={},
            )
            for item in versions
            if item.kind is not VersionKind.GHOST
        ],
    )
    claimed = {"basis": Basis.DECLARED, "confidence": 1.0, "claimed_by": Agent(id="org", name="org")}
    derivations = [
        derivation("org/base", absent, observations=(CARD,), **claimed),
        *(derivation(name, "org/base", confidence=0.7 + index / 50) for index, name in enumerate(fine_tunes)),
        derivation(
            "org/chat",
            "org/base",
            summary="org/chat is fine-tuned from org/base.",
            observations=(TAIL, CLOCK),
            runner_up=version_id("org/tune-00"),
            parameters={"changed_tensors": 42},
        ),
        derivation("org/chat", "org/base", observations=(CARD,), **claimed),
        derivation(
            "lab/chat-q4", "org/chat", relation=Relation.QUANTIZED_FROM, confidence=0.99, parameters={"bits": 4}
        ),
        derivation("lab/stray", "org/chat", confidence=0.88, observations=(TAIL,)),
        derivation("lab/stray", "org/base", observations=(CARD,), **claimed),
        derivation(
            "org/merge",
            Parent(id=version_id("org/chat"), role="constituent", weight=0.6),
            Parent(id=version_id("org/tune-03"), role="constituent", weight=0.4),
            relation=Relation.MERGED_FROM,
            confidence=0.97,
        ),
        derivation("lab/adapter", "org/base", relation=Relation.ADAPTED_FROM, basis=Basis.DECLARED, confidence=1.0),
        derivation(HOSTILE, "org/chat", confidence=0.6, summary=f"{HOSTILE} is fine-tuned.", observations=(CARD,)),
    ]
    for item in derivations:
        rows = rows + item.rows()
    return rows


def fill(directory: Path, rows: Rows | None = None) -> Path:
    """Write rows into the embedded store of a lake's directory, which is returned."""
    with Store.open(None, directory=Settings.of(directory, environment={}).database) as store:
        store.write(sample_rows() if rows is None else rows)
    return directory
