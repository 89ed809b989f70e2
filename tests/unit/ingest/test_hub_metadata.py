"""Dumps of hub metadata: rows told by their fields, models known by name alone, claims with their places."""

import gzip
import json
import os
from pathlib import Path

import pytest

from graph_schema.errors import FormatError, PathNotFoundError, UnsupportedFormatError
from graph_schema.identity import ghost_id
from graph_schema.labels import Relation, VersionKind
from ingest.hub_metadata import read_hub_metadata


def write_lines(path: Path, *rows: object) -> Path:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_edges_are_claims_of_their_relation(tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "edges.csv", "parent,child,relation", "o/a,o/b,finetune", "o/a,o/c,quantized", "x,x,merge"
    )
    found = read_hub_metadata([file])
    assert [(claim.subject, claim.relation, claim.target) for claim in found.claims] == [
        ("o/b", Relation.FINE_TUNED_FROM, "o/a"),
        ("o/c", Relation.QUANTIZED_FROM, "o/a"),
    ]
    assert [model.id for model in found.models] == ["o/a", "o/b", "o/c"]
    assert {version.kind for version in found.versions} == {VersionKind.GHOST}
    assert found.versions[0].id == ghost_id("o/a")


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_rows_of_one_model_add_up(tmp_path: Path, suffix: str) -> None:
    facts = {
        "card_data": "base_model: o/a\nlicense: mit",
        "library_name": "peft",
        "created_at": "2024-01-01 10:00:00+00:00",
    }
    write_lines(tmp_path / f"nodes.{suffix}", {"id": "o/b", "metadata": facts}, {"id": "o/d", "metadata": {}})
    write_lines(tmp_path / f"cards.{suffix}", {"id": "o/b", "card": "---\npipeline_tag: text-generation\n---\n"})
    found = read_hub_metadata([tmp_path])
    model = next(model for model in found.models if model.id == "o/b")
    assert (model.license, model.library, model.pipeline) == ("mit", "peft", "text-generation")
    assert model.created_at == "2024-01-01T10:00:00+00:00"
    assert [(claim.relation, claim.target) for claim in found.claims] == [(Relation.ADAPTED_FROM, "o/a")]
    assert [item.id for item in found.models] == ["o/a", "o/b", "o/d"]


def test_a_broken_row_is_a_problem_and_the_rest_is_read(tmp_path: Path) -> None:
    found = read_hub_metadata([write_lines(tmp_path / "n.jsonl", {"id": "a"}, "{broken", {"id": "b"}, [1], {"id": 3})])
    assert [model.id for model in found.models] == ["a", "b"]
    assert len(found.problems) == 1
    assert "line 2" in str(found.problems[0])


def test_what_is_no_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError):
        read_hub_metadata([write_lines(tmp_path / "n.csv", "a,b", "1,2")])
    with pytest.raises(PathNotFoundError):
        read_hub_metadata([tmp_path / "nowhere"])
    whole = write_lines(tmp_path / "cut.jsonl.gz", *({"id": os.urandom(20).hex()} for _ in range(500)))
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(FormatError, match="damaged"):
        read_hub_metadata([whole])


def test_real_metadata_reads_whole() -> None:
    stated = os.environ.get("MODELLAKE_HUB_DATA")
    folder = Path(stated) if stated else Path(__file__).resolve().parents[4] / "shared" / "data" / "hub"
    if not folder.is_dir():
        pytest.skip("no hub metadata here (set MODELLAKE_HUB_DATA)")
    found = read_hub_metadata([folder])
    assert len(found.models) >= 8_158
    assert sum(claim.kind == "hub_edge" for claim in found.claims) >= 8_130
    assert len(found.problems) < 20
