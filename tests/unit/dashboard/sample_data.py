"""Data sets beside the models of the sample lake: states, relations, claims, licences, a hostile name."""

from __future__ import annotations

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.graph import Edge, Rows
from graph_schema.identity import dataset_ghost_id
from graph_schema.labels import Basis, Label, Relation
from graph_schema.records import Dataset, DatasetVersion
from tests.unit.dashboard.sample_lake import HOSTILE, version_id

MANY = 45
COLUMNS = ("id: int64", "text: string")


def _state(name: str, number: int = 1, **more) -> DatasetVersion:
    given = {"format": "csv", "rows": 1000, "bytes": 11_900, "files": 1, "columns": COLUMNS} | more
    return DatasetVersion(id=f"{name}-{number}", name=name, **given)


def _trained(model: str, state: str, basis: Basis = Basis.DECLARED, confidence: float = 1.0, **more) -> Derivation:
    return Derivation(
        child=version_id(model),
        parents=(Parent(id=state, role="data"),),
        relation=Relation.TRAINED_ON,
        basis=basis,
        confidence=confidence,
        method="card",
        **more,
    )


def _between(child: str, parent: str, relation: Relation, share: tuple[float, float, float], **more) -> Derivation:
    return Derivation(
        child=child,
        parents=(Parent(id=parent, role="data"),),
        relation=relation,
        basis=Basis.INFERRED,
        confidence=0.97,
        method="sketch",
        share=share,
        **more,
    )


SEEN = Observation(kind="containment", statement="300 of 1,000 rows seen are in it.", method="sketch", value=0.3)


def data_rows() -> Rows:
    """Reviews under a licence with a condition, in two states; words that overlap with them; a part of those; more."""
    ghosts = ["squad", *(f"zoo/named-{number:02d}" for number in range(MANY))]
    datasets = [
        Dataset(id="acme/reviews", name="Reviews", license="cc-by-nc-4.0", url="https://example.invalid/reviews"),
        Dataset(id="data/words", name="words", location="lake/data/words.csv"),
        Dataset(id="data/held_out", name="held_out"),
        Dataset(id=HOSTILE, name=HOSTILE, license=HOSTILE),
        *(Dataset(id=name, name=name) for name in ghosts),
    ]
    states = {
        "acme/reviews": [
            _state("acme/reviews", 1),
            _state(
                "acme/reviews",
                2,
                rows=1010,
                columns=(*COLUMNS, "score: double"),
                splits=("test: 100", "train: 910"),
                shared_splits=("test in train: 20.0%",),
            ),
        ],
        "data/words": [_state("data/words", rows=3000)],
        "data/held_out": [_state("data/held_out", rows=100)],
        HOSTILE: [_state(HOSTILE, columns=(f"{HOSTILE}: string",))],
        **{name: [DatasetVersion(id=dataset_ghost_id(name), name=name)] for name in ghosts},
    }
    has = [
        Edge(
            relation=Relation.HAS_VERSION,
            source=(Label.DATASET, dataset),
            target=(Label.DATASET_VERSION, state.id),
            properties={} if dataset in ghosts else {"number": number, "path": f"{dataset}.csv"},
        )
        for dataset, found in states.items()
        for number, state in enumerate(found, start=1)
    ]
    derivations = [
        _between("acme/reviews-2", "acme/reviews-1", Relation.REVISED_FROM, (0.0, 0.0, 0.0), summary="10 rows added"),
        _between(
            "acme/reviews-1",
            "data/words-1",
            Relation.OVERLAPS_WITH,
            (0.3, 0.27, 0.33),
            summary="about 30% are shared",
            observations=(SEEN,),
        ),
        _between("data/held_out-1", "data/words-1", Relation.SUBSET_OF, (1.0, 1.0, 1.0)),
        _trained("org/chat", "acme/reviews-2", summary="README.md (datasets) names acme/reviews"),
        _trained("org/chat", "acme/reviews-2", Basis.INFERRED, 0.8),
        _trained("org/chat", dataset_ghost_id("squad")),
        _trained(HOSTILE, "data/words-1"),
        *(_trained("org/base", dataset_ghost_id(name)) for name in ghosts[1:]),
    ]
    rows = Rows.of([*datasets, *(state for found in states.values() for state in found)], has)
    for item in derivations:
        rows = rows + item.rows()
    return rows
