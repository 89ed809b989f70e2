"""Ingest from end to end: what is read, what is left out, and what a second run finds."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modellake import Lake
from tests.unit.ingest.test_git_history import commit, git
from tests.unit.modellake.small_models import card, halved, lie, truncate, weights, write_model


def start(data: Path, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modellake.command_line", "--directory", str(data), *map(str, arguments)]
    # Where the suite itself runs in the background, an interruption is ignored and would be by the child.
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
        )
    finally:
        signal.signal(signal.SIGINT, handler)


def wait_for_entries(data: Path, process: subprocess.Popen[str], least: int = 1) -> None:
    journal = data / "journal.jsonl"
    while process.poll() is None:
        if journal.exists() and len(journal.read_text().splitlines()) >= least:
            return
        time.sleep(0.01)


def many(lake: Path, count: int = 24) -> Path:
    for number in range(count):
        write_model(lake / "many" / f"m{number:02}", weights(number, layers=4, width=96))
    return lake


def test_a_second_run_reads_nothing_again(shared, lake):
    write_model(lake / "a/one", weights(1))
    write_model(lake / "a/two", weights(2))
    first, second = shared("ingest", lake, "--json").json, shared("ingest", lake, "--json").json
    assert sorted(first["models"]) == ["a/one", "a/two"]
    assert second["models"] == []
    assert sorted(second["unchanged"]) == ["a/one", "a/two"]


def test_a_changed_model_is_read_again(data, lake):
    write_model(lake / "a/one", weights(1))
    data.ingest([lake], isolated=False)
    write_model(lake / "a/one", weights(2))
    assert data.ingest([lake], isolated=False).models == ["a/one"]


def test_a_model_read_by_an_older_format_of_fingerprints_is_read_again(data, lake):
    write_model(lake / "a/one", weights(1))
    data.ingest([lake], isolated=False)
    journal = data.settings.journal
    row = json.loads(journal.read_text())
    del row["fingerprint"]  # as the first format had it
    journal.write_text(json.dumps(row) + "\n")
    assert data.ingest([lake], isolated=False).models == ["a/one"]
    assert data.ingest([lake], isolated=False).models == []


def test_the_same_weights_under_two_names_are_one_version(data, lake):
    write_model(lake / "a/one", weights(1))
    write_model(lake / "b/mirror", weights(1))
    assert len(set(data.ingest([lake], isolated=False).versions)) == 1
    (node,) = data.lineage("b/mirror").nodes
    assert node.models == ("a/one", "b/mirror")
    assert node.name == "a/one"


def test_two_models_of_one_name_in_two_lakes(data, tmp_path):
    write_model(tmp_path / "x/org/same", weights(1))
    write_model(tmp_path / "y/org/same", weights(2))
    read = data.ingest([tmp_path / "x", tmp_path / "y"], isolated=False)
    # Neither is lost in silence: both are versions, or one is reported.
    assert len(set(read.versions)) + len(read.problems) >= 2


def test_no_such_path_is_one_line(shared, tmp_path):
    outcome = shared("ingest", tmp_path / "nowhere")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert "nowhere" in outcome.err


def test_an_empty_directory_is_one_line(shared, lake):
    lake.mkdir()
    outcome = shared("ingest", lake)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)


@pytest.mark.parametrize("damage", [lambda file: truncate(file, 5), lambda file: truncate(file, 600), lie])
def test_a_damaged_file_costs_its_model_alone(data, lake, damage):
    write_model(lake / "a/good", weights(1))
    damage(write_model(lake / "a/bad", weights(2)) / "model.safetensors")
    read = data.ingest([lake], isolated=False)
    assert read.models == ["a/good"]
    (problem,) = read.problems
    assert "model.safetensors" in str(problem)
    write_model(lake / "a/bad", weights(2))
    assert data.ingest([lake], isolated=False).models == ["a/bad"]


def test_strict_fails_where_anything_was_left_out(shared, lake):
    write_model(lake / "a/good", weights(1))
    lie(write_model(lake / "a/bad", weights(2)) / "model.safetensors")
    outcome = shared("ingest", lake, "--strict")
    assert outcome.code == 1
    assert outcome.err.startswith("left out: ")
    assert outcome.err.count("\n") == 1


def test_a_missing_shard_is_named(data, lake):
    folder = write_model(lake / "a/sharded", weights(1))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = dict.fromkeys(weights(1), "model-00001-of-00002.safetensors")
    names["lm_head.weight"] = "model-00002-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    read = data.ingest([lake], isolated=False)
    assert read.models == []
    assert "model-00002-of-00002.safetensors" in str(read.problems[0])


def test_a_card_with_broken_yaml_keeps_its_weights(data, lake):
    write_model(lake / "a/one", weights(1), "---\nbase_model: [unclosed\n---\n")
    read = data.ingest([lake], isolated=False)
    assert len(read.versions) == 1
    assert "README.md" in str(read.problems[0])


def test_a_killed_run_goes_on_where_it_was(run, lake, tmp_path):
    many(lake)
    process = start(tmp_path / "data", "ingest", lake)
    wait_for_entries(tmp_path / "data", process, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    second = run("ingest", lake, "--json")
    assert second.code == 0, second.err
    assert len(second.json["unchanged"]) >= 2
    assert len(second.json["models"]) + len(second.json["unchanged"]) == 24
    assert run("query", "MATCH (v:Version) RETURN count(v) AS n", "--json").json == [{"n": 24}]


def test_an_interruption_is_one_line_and_loses_nothing(run, lake, tmp_path):
    many(lake)
    process = start(tmp_path / "data", "ingest", lake)
    wait_for_entries(tmp_path / "data", process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err == "modellake: interrupted; run the same command again to go on from here\n"
    assert len(run("ingest", lake, "--json").json["unchanged"]) >= 1


def test_a_disk_without_room_for_a_fingerprint_leaves_the_model_out(run, lake, tmp_path):
    """A cap on the size of files stands for a full disk: a real error of a real write, past what the store needs."""
    write_model(lake / "a/small", weights(1))
    write_model(lake / "b/large", weights(2, layers=40, width=96))
    write_model(lake / "c/small", weights(3))
    # The store is made before the disk is full; making it writes one large log.
    run("doctor")
    cap = 600_000
    process = start(
        tmp_path / "data",
        "ingest",
        lake,
        "--json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (cap, resource.RLIM_INFINITY)),
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    read = json.loads(out)
    assert read["models"] == ["a/small", "c/small"]
    (problem,) = read["problems"]
    assert "room" in problem["remedy"] or "space" in problem["remedy"]
    assert not list((tmp_path / "data/fingerprints").glob("*.part")), "nothing half-written stays"
    assert len(list((tmp_path / "data/fingerprints").iterdir())) == 2
    assert run("ingest", lake, "--json").json["models"] == ["b/large"]


def everything(lake: Lake) -> tuple[list[object], list[object]]:
    nodes = lake.query(
        "MATCH (n) WHERE NOT n:Schema RETURN labels(n) AS l, n.id AS id, n.name AS name, n.statement AS s"
    )
    edges = lake.query(
        "MATCH (a)-[r]->(b) RETURN a.id AS a, type(r) AS t, b.id AS b, r.basis AS basis, r.confidence AS c, r.edit AS e"
    )
    return sorted(map(repr, ((sorted(row[0]), *row[1:]) for row in nodes.rows))), sorted(map(repr, edges.rows))


def test_the_order_of_arrival_does_not_matter(tmp_path):
    base = weights(1)
    write_model(tmp_path / "one/a/base", base, card(license="mit"))
    write_model(tmp_path / "two/b/half", halved(base), card(base_model="a/base"))
    write_model(tmp_path / "three/c/mirror", base, card(base_model="d/nowhere"))
    lakes = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    answers = []
    for number, order in enumerate(itertools.permutations(lakes)):
        with Lake(tmp_path / f"data{number}") as lake:
            for part in order:
                lake.ingest([part], isolated=False)
            lake.infer()
            answers.append(everything(lake))
    assert all(answer == answers[0] for answer in answers[1:])


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_the_states_of_a_repository_are_versions_in_order(data, lake):
    folder = write_model(lake / "org/model", weights(0), card(base_model="org/base"))
    git(folder, "init", "-q")
    for seed, day in ((1, 1), (2, 2), (3, 3)):
        commit(folder, seed, date=1_700_000_000 + 86_400 * day)
    read = data.ingest([lake], isolated=False)
    assert (read.models, len(read.versions), read.problems) == (["org/model"], 3, [])
    rows = data.query(
        "MATCH (:Model {id: 'org/model'})-[has:HAS_VERSION]->(v:Version) "
        "RETURN v.name AS name, has.position AS position, has.created_at AS day, has.author AS author ORDER BY position"
    ).rows
    assert [(row[1], row[2][:10], row[3]) for row in rows] == [
        (0, "2023-11-15", "Ada"),
        (1, "2023-11-16", "Ada"),
        (2, "2023-11-17", "Ada"),
    ]
    assert [row[0].partition("@")[0] for row in rows] == ["org/model"] * 3
    assert rows[2][0] == "org/model"
    # The name of the model means what it holds now, and the card is about that alone.
    assert data.resolve("org/model").name == "org/model"
    assert {edge.child for edge in data.whole_lineage().edges} == {data.resolve("org/model").id}
    assert data.ingest([lake], isolated=False).unchanged == ["org/model"]
    before = data.resolve("org/model").id
    commit(folder, 4)
    assert data.ingest([lake], isolated=False).models == ["org/model"]
    assert data.resolve("org/model").id != before
    assert data.resolve(before).name.startswith("org/model@")
