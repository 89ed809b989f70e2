"""What an inference remembers changes how long it takes, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from lineage.inference import infer
from lineage.memory import Memory
from modellake.remembering import recall, remember
from tests.unit.lineage.networks import mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]


@pytest.fixture(scope="module")
def lake(taken: Take) -> list[Fingerprint]:
    one, two = network(0), network(1)
    child = trained(one, 2)
    weights = [one, two, child, trained(one, 3), trained(child, 4), trained(two, 5), network(9)]
    weights.append(mixed((0.4, weights[3]), (0.6, child)))
    return [taken(item) for item in weights]


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(8)), cut=st.integers(1, 7))
def test_arrival_in_any_order_and_in_parts_leads_to_the_same(
    lake: list[Fingerprint], order: list[int], cut: int
) -> None:
    arrived = [lake[place] for place in order]
    memory = Memory()
    infer(arrived[:cut], memory=memory)
    assert infer(arrived, memory=memory) == infer(lake)


def test_a_version_that_left_is_forgotten(lake: list[Fingerprint]) -> None:
    memory = Memory()
    infer(lake, memory=memory)
    for gone in range(len(lake)):
        rest = [item for place, item in enumerate(lake) if place != gone]
        assert infer(rest, memory=memory) == infer(rest)


def test_only_families_with_new_members_are_worked_out(lake: list[Fingerprint]) -> None:
    memory = Memory()
    infer(lake[:5], memory=memory)
    before = dict(memory.families)
    infer(lake[:6], memory=memory)
    kept = [key for key, found in before.items() if memory.families.get(key) is found]
    assert len(memory.families) == 2
    assert len(kept) == 1


def test_what_was_done_before_an_interruption_is_not_done_again(lake: list[Fingerprint]) -> None:
    def interrupted(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    memory = Memory()
    with pytest.raises(KeyboardInterrupt):
        infer(lake, memory=memory, progress=interrupted)
    before = dict(memory.families)
    assert before
    assert infer(lake, memory=memory) == infer(lake)
    assert all(memory.families[key] is found for key, found in before.items())


def test_a_memory_survives_its_file(lake: list[Fingerprint], tmp_path: Path) -> None:
    memory = Memory()
    found = infer(lake, memory=memory)
    remember(tmp_path / "inference.json", memory)
    again = recall(tmp_path / "inference.json")
    assert again == memory
    assert infer(lake, memory=again) == found


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "method": "3", "groups": 3}'])
def test_a_damaged_memory_is_no_memory(content: str, tmp_path: Path) -> None:
    path = tmp_path / "inference.json"
    path.write_text(content)
    assert recall(path) == Memory()
    assert recall(tmp_path / "nothing.json") == Memory()
