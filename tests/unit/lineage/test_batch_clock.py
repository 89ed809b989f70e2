"""The count of batches that batch normalisation keeps, from the file to the direction of an edge."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from graph_schema.fingerprint import Fingerprint
from ingest.blobs import MemoryBlob
from ingest.fingerprint import take_fingerprint
from ingest.fingerprint.file import from_bytes, to_bytes
from ingest.readers.safetensors import SafetensorsSource
from lineage.batch_clock import clocked_forest
from lineage.calibration import default_calibration
from lineage.cues import edge_cues
from lineage.inference import infer
from lineage.spanning_tree import minimum_spanning_forest
from tests.unit.lineage.networks import network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]


def _read(weights: dict[str, np.ndarray]) -> Fingerprint:
    with SafetensorsSource(MemoryBlob(save(weights), name="memory")) as source:
        return take_fingerprint(source)


def _counting(taken: Take, weights: dict[str, np.ndarray], batches: int) -> Fingerprint:
    return replace(taken(weights), batches=batches)


@pytest.mark.parametrize(
    ("counters", "found"),
    [([300, 300], 300), ([250, 300], 300), ([0, 0], 0), ([], None), ([-1, 4], None)],
)
def test_the_largest_counter_of_a_file_counts_and_is_no_part_of_the_version(
    counters: list[int], found: int | None
) -> None:
    weights: dict[str, np.ndarray] = {"bn1.weight": np.ones(8, np.float32), "conv.weight": np.eye(8, dtype=np.float32)}
    fingerprint = _read(weights | {f"bn{n}.num_batches_tracked": np.array(count) for n, count in enumerate(counters)})
    assert fingerprint.version == _read(weights).version
    assert fingerprint.batches == found
    assert from_bytes(to_bytes(fingerprint)).batches == found


def test_a_counter_of_another_type_is_none() -> None:
    weights = {"w": np.eye(8, dtype=np.float32), "bn.num_batches_tracked": np.array(2.5, np.float32)}
    assert _read(weights).batches is None


def test_the_clock_turns_what_decay_had_turned(taken: Take) -> None:
    root = network(0)
    decayed = {name: 0.97 * values for name, values in trained(root, 1).items()}
    for first, second, sign in ((250, 431, 1), (431, 250, -1)):
        cues = edge_cues(_counting(taken, root, first), _counting(taken, decayed, second)).weighed(
            default_calibration()
        )
        assert np.sign(dict(cues.parts)["batches"]) == sign
        assert dict(cues.reversed().parts)["batches"] == -dict(cues.parts)["batches"]
        words = [item.statement for item in cues.observations() if item.kind == "batches"]
        assert words
        assert str(first) in words[0]


def test_siblings_with_one_count_are_no_parent_and_child(taken: Take) -> None:
    root = network(0)
    first = trained(root, 1)
    # All that the one has is in the other, so that distances and norms speak for a chain.
    weights = {"root": root, "one": first, "two": trained(first, 2, step=0.01)}

    def parents(batches: dict[str, int]) -> dict[str, str]:
        found = {}
        for number, (name, values) in enumerate(weights.items()):
            item = taken(values | {"bn.running_mean": np.full(16, number, np.float32)})
            found[name] = replace(item, batches=batches.get(name))
        names = {item.version: name for name, item in found.items()}
        edges = infer(list(found.values()), least_confidence=0.0).derivations
        return {names[item.child]: names.get(item.parents[0].id, "hidden") for item in edges}

    assert parents({}) == {"one": "root", "two": "one"}
    assert parents({"root": 100, "one": 150, "two": 150}) == {"one": "root", "two": "root"}


@given(st.data(), st.integers(2, 7))
def test_without_a_clock_the_cheapest_forest_and_with_one_no_link_against_it(data: st.DataObject, size: int) -> None:
    pairs = [(one, two) for one in range(size) for two in range(one + 1, size)]
    costs = dict(zip(pairs, data.draw(st.permutations([float(n) for n in range(len(pairs))])), strict=True))
    blank = [Fingerprint(version=str(place), tensors=()) for place in range(size)]
    assert clocked_forest(blank, costs, []) is None
    counted = [replace(item, batches=1 + place) for place, item in enumerate(blank)]
    found = clocked_forest(counted, costs, [])
    assert found is not None
    assert len(found) == size - 1
    # All but the last tell the time: the links between those are no cheaper in sum than the cheapest forest's.
    least = minimum_spanning_forest(size, [(*pair, cost) for pair, cost in costs.items()])
    assert sum(costs[pair] for pair in found) >= sum(list(costs.values())[place] for place in least)


def test_what_is_joined_stays_joined_and_parts_stay_apart() -> None:
    members = [Fingerprint(version=str(place), tensors=(), batches=place + 1) for place in range(5)]
    found = clocked_forest(members, {(0, 1): 1.0, (1, 2): 1.0, (3, 4): 2.0}, [(0, 2)])
    assert found is not None
    assert len(found) == 2
    assert (3, 4) in found
