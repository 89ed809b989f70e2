"""Small graphs that the contract is tried on."""

from graph_schema.derivation import Derivation, Parent
from graph_schema.graph import Edge, Rows
from graph_schema.identity import dataset_ghost_id
from graph_schema.labels import Basis, Label, Relation
from graph_schema.records import Dataset, DatasetVersion, Version


def version(name: str) -> Version:
    return Version(id=name, name=name.upper(), parameters=7, formats=("safetensors",))


def derivation(child, *parents, relation=Relation.FINE_TUNED_FROM, basis=Basis.INFERRED, confidence=0.9, **more):
    return Derivation(
        child=child,
        parents=tuple(Parent(id=parent) for parent in parents),
        relation=relation,
        basis=basis,
        confidence=confidence,
        method="test",
        **more,
    )


def lineage(*derivations: Derivation) -> Rows:
    names = sorted({name for item in derivations for name in (item.child, *(parent.id for parent in item.parents))})
    rows = Rows.of([version(name) for name in names])
    for item in derivations:
        rows = rows + item.rows()
    return rows


def data_rows() -> Rows:
    """Two states of a dataset, the second a superset of the first; a model trained on the first and on a ghost."""
    ghost = dataset_ghost_id("gone")
    states = [DatasetVersion(id=f"words-{number}", name="words", rows=number) for number in (1, 2)]
    has = [
        Edge(
            relation=Relation.HAS_VERSION,
            source=(Label.DATASET, "words"),
            target=(Label.DATASET_VERSION, state.id),
            properties={"number": state.rows, "path": "words.csv"},
        )
        for state in states
    ]
    named = Edge(
        relation=Relation.HAS_VERSION,
        source=(Label.DATASET, "gone"),
        target=(Label.DATASET_VERSION, ghost),
        properties={},
    )
    nodes = [
        Dataset(id="words", name="Words", license="odbl", splits=("train: 1",)),
        Dataset(id="gone", name="gone"),
        *states,
    ]
    return (
        Rows.of([*nodes, DatasetVersion(id=ghost, name="gone"), version("b")], [*has, named])
        + derivation("words-1", "words-2", relation=Relation.SUBSET_OF, share=(1.0, 0.9, 1.0)).rows()
        + derivation("words-2", "words-1", relation=Relation.REVISED_FROM, summary="one row added").rows()
        + derivation("b", "words-1", relation=Relation.TRAINED_ON, basis=Basis.DECLARED).rows()
        + derivation("b", ghost, relation=Relation.TRAINED_ON, basis=Basis.DECLARED).rows()
    )
