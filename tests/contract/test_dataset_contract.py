"""Data in the graph, on every database."""

from __future__ import annotations

import pytest

from cypher.dataset_reading import list_datasets, read_dataset_detail
from cypher.lineage_reading import read_edit
from cypher.store import Store
from graph_schema.errors import UnknownNameError
from graph_schema.graph import Rows
from graph_schema.identity import dataset_ghost_id
from graph_schema.labels import Basis, Relation
from tests.contract.small_graphs import data_rows, derivation


def counts(store: Store) -> dict[str, int]:
    return {row["name"] + row["basis"]: row["count"] for row in store.query("statistics")}


def test_a_dataset_with_its_states_relations_and_models(store):
    store.write(data_rows())
    assert [(entry.id, entry.version, entry.ghost, entry.models) for entry in list_datasets(store)] == [
        ("gone", "ghost:dataset:gone", True, 1),
        ("words", "words-2", False, 1),
    ]
    detail = read_dataset_detail(store, "words")
    assert [(state.version, state.number, state.datasets) for state in detail.states] == [
        ("words-2", 2, ("words",)),
        ("words-1", 1, ("words",)),
    ]
    assert {(link.version, link.relation, link.forward, link.other, link.share) for link in detail.links} == {
        ("words-2", Relation.REVISED_FROM, True, "words-1", None),
        ("words-2", Relation.SUBSET_OF, False, "words-1", 1.0),
        ("words-1", Relation.REVISED_FROM, False, "words-2", None),
        ("words-1", Relation.SUBSET_OF, True, "words-2", 1.0),
    }
    assert [(use.version, use.data, use.basis) for use in detail.uses] == [("b", "words-1", Basis.DECLARED)]
    with pytest.raises(UnknownNameError):
        read_dataset_detail(store, "nothing")


def test_an_edit_between_states_of_data_is_read_and_forgotten_whole(store):
    store.write(data_rows())
    subset = derivation("words-1", "words-2", relation=Relation.SUBSET_OF)
    assert (read_edit(store, subset.id).child, read_edit(store, subset.id).parents) == ("words-1", ("words-2",))
    before = counts(store)
    store.replace([subset.id], Rows())
    after = counts(store)
    gone = {name: count - after.get(name, 0) for name, count in before.items() if after.get(name, 0) != count}
    assert gone == {"SUBSET_OFinferred": 1, "Edit": 1, "INPUT": 1, "OUTPUT": 1}


def test_data_that_is_only_named_goes_with_the_last_claim_and_what_was_read_stays(store):
    store.write(data_rows())
    claim = derivation("b", dataset_ghost_id("gone"), relation=Relation.TRAINED_ON, basis=Basis.DECLARED)
    store.replace([claim.id], derivation("b", "words-2", relation=Relation.TRAINED_ON, basis=Basis.DECLARED).rows())
    assert [entry.id for entry in list_datasets(store)] == ["words"]
    assert store.query("dataset_ghosts") == []
