"""Every parser against valid files with small damage: an answer or an error of the project's own, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("flatbuffers")

from ingest.readers.registry import FORMATS
from tests.attacks.mutating import mutated
from tests.attacks.parsers import TARGETS, Target


def test_every_format_is_attacked() -> None:
    assert {known.name for known in FORMATS} <= {name.split(",")[0] for name in TARGETS}


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_seeds_are_valid(target: Target) -> None:
    for seed in target.seeds():
        target.parse(seed)


@pytest.mark.parametrize("target", [target.name for target in TARGETS.values() if target.native])
def test_damage_to_a_library_in_c_is_seen_from_outside(target: str) -> None:
    command = [sys.executable, "-m", "tests.attacks.fuzz", "--at-random", target, "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # A crash below zero is the library's; the worker that reads for the product dies of it alone.
    assert done.returncode <= 0, done.stderr[-2000:]


IN_PYTHON = [target for target in TARGETS.values() if not target.native and not target.slow]
SLOW = [target for target in TARGETS.values() if target.slow]


@pytest.mark.parametrize("target", IN_PYTHON, ids=lambda target: target.name)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damage_is_an_answer_or_an_error_of_our_own(target: Target, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(target.seeds()))
    target.attack(mutated(content, data.draw(st.integers(0, 2**32 - 1))))


@pytest.mark.parametrize("target", SLOW, ids=lambda target: target.name)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(change=st.integers(0, 2**32 - 1))
def test_damage_to_what_a_program_reads_is_an_answer_or_an_error_of_our_own(target: Target, change: int) -> None:
    target.attack(mutated(target.seeds()[0], change))


@pytest.mark.parametrize("target", IN_PYTHON, ids=lambda target: target.name)
@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_an_answer_or_an_error_of_our_own(target: Target, content: bytes) -> None:
    target.attack(content)
