"""Dumps of hub metadata through `Lake.ingest`: models without weights, their declared parents, and nothing twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ingest.hub_metadata import is_hub_metadata
from modellake import Lake


def write_dump(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "edges.csv").write_text("parent,child,relation\no/a,o/b,finetune\no/b,o/c,quantized\n")
    rows = [{"id": "o/b", "metadata": {"library_name": "peft"}}, {"id": "o/d", "card": "---\ndatasets: imdb\n---\n"}]
    (folder / "nodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_dumps_become_models_ghosts_and_declared_edges_once(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump")
    with Lake(tmp_path / "data") as lake:
        summary = lake.ingest([dump / "edges.csv", dump / "nodes.jsonl"], isolated=False)
        assert (summary.described, summary.problems) == (4, [])
        counted = {(row["name"], row["basis"]): row["count"] for row in lake.statistics()}
        assert counted["Model", ""] == counted["Ghost", ""] == 4
        assert counted["FINE_TUNED_FROM", "declared"] == counted["QUANTIZED_FROM", "declared"] == 1
        assert counted["TRAINED_ON", "declared"] == 1
        again = lake.ingest([dump / "edges.csv", dump / "nodes.jsonl"], isolated=False)
        assert again.described == 0
        assert len(again.unchanged) == 2


def test_weights_that_are_there_are_what_the_metadata_speaks_of(tmp_path: Path) -> None:
    model = tmp_path / "lake" / "o" / "b"
    model.mkdir(parents=True)
    save_file({"w.weight": np.ones((3, 3), np.float32)}, model / "model.safetensors")
    with Lake(tmp_path / "data") as lake:
        lake.ingest([tmp_path / "lake"], isolated=False)
        lake.ingest([write_dump(tmp_path / "dump")], isolated=False)
        real = lake.resolve("o/b")
        assert not real.id.startswith("ghost:")
        edges = lake.lineage("o/b").edges
        assert {(edge.child == real.id, edge.relation.value) for edge in edges} == {
            (True, "FINE_TUNED_FROM"),
            (False, "QUANTIZED_FROM"),
        }


@pytest.mark.parametrize(
    ("first", "known"),
    [
        ("parent,child,relation\n", True),
        ('{"id": "a", "card": ""}\n', True),
        ('{"id": "a", "text": "data"}\n', False),
        ("id,label\n1,2\n", False),
        ("", False),
        ("\x00\x01", False),
    ],
)
def test_a_dump_is_told_from_data_by_its_first_row(tmp_path: Path, first: str, known: bool) -> None:
    (tmp_path / "f").write_text(first)
    assert is_hub_metadata(tmp_path / "f") is known


@pytest.mark.skipif("MODELLAKE_HUB_DATA" not in os.environ, reason="no hub metadata here (set MODELLAKE_HUB_DATA)")
def test_real_metadata_is_written_whole(tmp_path: Path) -> None:
    with Lake(tmp_path / "data") as lake:
        assert lake.ingest([os.environ["MODELLAKE_HUB_DATA"]], isolated=False).described >= 8_158
