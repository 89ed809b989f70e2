"""Reading lineage, on every database."""

from __future__ import annotations

import pytest

from cypher.lineage_reading import find_versions, read_edit, read_lineage, read_versions, read_whole_lineage
from graph_schema.derivation import Observation
from graph_schema.errors import UnknownNameError
from graph_schema.graph import Edge, Rows
from graph_schema.labels import Basis, Relation, VersionKind
from graph_schema.records import Model, Version
from tests.contract.small_graphs import derivation, lineage, version


def test_lineage_around_a_version(store):
    store.write(
        lineage(
            derivation("p", "g"),
            derivation("v", "p"),
            derivation("v", "p", basis=Basis.DECLARED),
            derivation("s", "p"),
            derivation("c", "v", relation=Relation.QUANTIZED_FROM),
            derivation("cc", "c", confidence=0.2),
            derivation("m", "v", "g", relation=Relation.MERGED_FROM),
        )
        + Rows.of(
            [Model(id="o/v", name="v", license="mit"), Model(id="o/w", name="w")],
            [
                Edge(relation=Relation.HAS_VERSION, source=("Model", name), target=("Version", "v"), properties={})
                for name in ("o/w", "o/v")
            ],
        )
    )

    def seen(**options):
        return "".join(sorted(node.id + " " for node in read_lineage(store, "v", **options).nodes)).split()

    assert seen(up=0, down=0) == ["v"]
    assert seen(up=1, down=0) == ["p", "v"]
    assert seen(up=2, down=1) == ["c", "g", "m", "p", "v"]
    assert seen(up=9, down=9) == ["c", "cc", "g", "m", "p", "v"]
    assert seen(up=9, down=9, min_confidence=0.5) == ["c", "g", "m", "p", "v"]
    assert seen(up=9, down=9, relations=[Relation.QUANTIZED_FROM]) == ["c", "v"]
    assert seen(up=9, down=9, basis=Basis.DECLARED) == ["p", "v"]
    graph = read_lineage(store, "v", up=2, down=1)
    node = graph.node("v")
    assert (node.models, node.license, node.parents, node.children) == (("o/v", "o/w"), "mit", 2, 2)
    assert {(edge.child, edge.parent, str(edge.basis)) for edge in graph.edges} == {
        ("p", "g", "inferred"),
        ("v", "p", "inferred"),
        ("v", "p", "declared"),
        ("c", "v", "inferred"),
        ("m", "v", "inferred"),
        ("m", "g", "inferred"),
    }
    assert len(read_whole_lineage(store, 100).edges) == 8
    assert len(read_whole_lineage(store, 2).nodes) == 2
    with pytest.raises(UnknownNameError):
        read_lineage(store, "absent", up=1, down=1)


def test_a_cycle_of_claims_ends(store):
    store.write(lineage(derivation("a", "b", basis=Basis.DECLARED), derivation("b", "a", basis=Basis.DECLARED)))
    assert len(read_lineage(store, "a", up=50, down=50).edges) == 2


def test_an_edit_comes_with_its_evidence_strongest_first(store):
    edit = derivation(
        "b",
        "a",
        summary="b is a fine-tune of a",
        parameters={"rank": 8},
        observations=tuple(
            Observation(kind=kind, statement="s", method="m", log_odds=odds, value=odds)
            for kind, odds in (("weak", 0.5), ("against", -3.0), ("strong", 4.0))
        ),
    )
    store.write(lineage(edit))
    detail = read_edit(store, edit.id)
    assert [item.kind for item in detail.evidence] == ["strong", "against", "weak"]
    assert (detail.child, detail.parents, detail.parameters) == ("b", ("a",), '{"rank": 8}')
    with pytest.raises(UnknownNameError):
        read_edit(store, "absent")


def test_finding_versions(store):
    store.write(
        Rows.of(
            [version(name) for name in ("bert", "bert-large", "my-bert", "gpt")]
            + [Model(id="Org/Other", name="Other")],
            [
                Edge(
                    relation=Relation.HAS_VERSION,
                    source=("Model", "Org/Other"),
                    target=("Version", "gpt"),
                    properties={},
                )
            ],
        )
    )
    assert [node.id for node in find_versions(store, "bert", 10)] == ["bert", "bert-large", "my-bert"]
    assert [node.id for node in find_versions(store, "BERT", 1)] == ["bert"]
    assert [node.id for node in find_versions(store, "org/oth", 10)] == ["gpt"]
    assert find_versions(store, "absent", 10) == ()
    assert len(find_versions(store, "", 10)) == 4


def test_what_is_in_the_lake_is_found_before_what_is_implied(store):
    hidden = Version(id="ghost: implied:1", name="hidden parent of a/gpt and z/gpt", kind=VersionKind.GHOST)
    store.write(Rows.of([hidden, version("z/gpt")], []))
    assert [node.id for node in find_versions(store, "gpt", 10)] == ["z/gpt", hidden.id]
    assert [node.id for node in read_versions(store, ["z/gpt", "nowhere"])] == ["z/gpt"]
