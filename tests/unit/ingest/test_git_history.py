"""Models in Git repositories: each state of their weights is a version, read from the objects and in order."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from ingest.discovery import discover
from ingest.isolation import IsolatedReader, WorkerPool
from ingest.model_source import ModelSource, Rejected
from ingest.reading import ModelReading, read_model

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


def git(folder: Path, *arguments: str, date: int = 1_700_000_000, **environment: str) -> str:
    names = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Bob"}
    names |= {"GIT_COMMITTER_EMAIL": "bob@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    dates = {"GIT_AUTHOR_DATE": f"{date} +0200", "GIT_COMMITTER_DATE": f"{date} +0200"}
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    found = subprocess.run(
        command, cwd=folder, env={**os.environ, **names, **dates, **environment}, capture_output=True, check=True
    )
    return found.stdout.decode().strip()


def weights(seed: int) -> dict[str, np.ndarray]:
    return {"w": np.random.default_rng(seed).normal(size=(40, 30)).astype(np.float32)}


def commit(folder: Path, seed: int, *, name: str = "model.safetensors", date: int = 1_700_000_000) -> str:
    save_file(weights(seed), folder / name)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"weights {seed}", date=date)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "org" / "model"
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


def found(lake: Path) -> tuple[list[ModelSource], list[ModelLakeError]]:
    items = list(discover([lake]))
    models = [item for item in items if isinstance(item, ModelSource)]
    return models, [item.error for item in items if isinstance(item, Rejected)]


def history(lake: Path) -> ModelReading:
    (source,), faults = found(lake)
    assert faults == []
    reading = read_model(source)
    assert reading.problems == ()
    return reading


def seeds(reading: ModelReading) -> list[int]:
    """Which weights the versions are, by their norm."""
    norms = {round(float(np.linalg.norm(weights(seed)["w"])), 4): seed for seed in range(10)}
    return [norms[round(item.fingerprint.tensors[0].l2, 4)] for item in reading.versions]


def test_each_state_is_a_version_with_its_commit(repository: Path) -> None:
    ids = [commit(repository, seed, date=1_700_000_000 + 86_400 * seed) for seed in (1, 2, 3)]
    reading = history(repository.parents[1])
    assert reading.model.id == "org/model"
    assert reading.model.license == "mit"
    assert seeds(reading) == [3, 2, 1]
    commits = [item.commit for item in reading.versions]
    assert [item.id for item in commits if item] == ids[::-1]
    assert [item.position for item in commits if item] == [2, 1, 0]
    assert commits[0] is not None
    assert (commits[0].time, commits[0].author) == ("2023-11-17T22:13:20+00:00", "Ada")
    assert [item.earlier for item in reading.versions] == [False, True, True]
    assert [item.version.name for item in reading.versions] == ["org/model"] + [
        f"org/model@{found[:10]}" for found in ids[1::-1]
    ]


def test_workers_read_history_too(repository: Path) -> None:
    for seed in (1, 2):
        commit(repository, seed)
    (source,), _ = found(repository.parents[1])
    with WorkerPool(1) as pool:
        reading = read_model(source, reader=IsolatedReader(pool))
    assert (seeds(reading), reading.problems) == ([2, 1], ())


def test_what_is_checked_out_is_read_once(repository: Path) -> None:
    for seed in (1, 2):
        commit(repository, seed)
    # The index is younger than the files, as it is once a moment has passed.
    os.utime(repository / ".git" / "index", ns=(2**61, 2**61))
    (source,), _ = found(repository.parents[1])
    assert [item.earlier for item in source.weights] == [False, True]
    assert source.weights[0].files[0].path == repository / "model.safetensors"
    assert source.weights[0].commit is not None


def test_uncommitted_weights_are_a_version_without_a_commit(repository: Path) -> None:
    commit(repository, 1)
    save_file(weights(2), repository / "model.safetensors")
    reading = history(repository.parents[1])
    assert seeds(reading) == [2, 1]
    assert [item.commit is None for item in reading.versions] == [True, False]


def test_weights_that_return_are_the_version_they_were(repository: Path) -> None:
    ids = [commit(repository, seed) for seed in (1, 2, 1)]
    reading = history(repository.parents[1])
    assert seeds(reading) == [1, 2]
    assert [item.commit.id for item in reading.versions if item.commit] == ids[:2]


def test_commits_that_leave_the_weights_alone_are_no_states(repository: Path) -> None:
    commit(repository, 1)
    (repository / "README.md").write_text("new")
    git(repository, "commit", "-qam", "words")
    commit(repository, 2)
    positions = [item.commit.position for item in history(repository.parents[1]).versions if item.commit]
    assert positions == [1, 0]


def test_branches_and_tags_are_read(repository: Path) -> None:
    commit(repository, 1)
    git(repository, "checkout", "-q", "-b", "side")
    commit(repository, 2)
    git(repository, "checkout", "-q", "main")
    commit(repository, 3)
    git(repository, "pack-refs", "--all")
    assert sorted(seeds(history(repository.parents[1]))) == [1, 2, 3]


def test_models_that_only_history_has(repository: Path) -> None:
    commit(repository, 1)
    (repository / "old").mkdir()
    (repository / "old" / "config.json").write_text("{}")
    commit(repository, 2, name="old/model.safetensors")
    shutil.rmtree(repository / "old")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "gone")
    models, faults = found(repository.parents[1])
    assert faults == []
    assert [item.id for item in models] == ["org/model", "org/model/old"]
    assert seeds(read_model(models[1])) == [2]


@pytest.mark.parametrize("packed", [False, True])
def test_a_bare_repository(repository: Path, tmp_path: Path, packed: bool) -> None:
    for seed in (1, 2):
        commit(repository, seed)
    bare = tmp_path / "bare" / "org" / "model.git"
    git(tmp_path, "clone", "-q", "--bare", "--no-hardlinks", str(repository), str(bare))
    if packed:
        git(bare, "gc", "-q")
    assert history(bare).model.id == "model"
    reading = history(tmp_path / "bare")
    assert reading.model.id == "org/model"
    assert seeds(reading) == [2, 1]
    assert [item.earlier for item in reading.versions] == [False, True]


def test_a_shallow_clone_and_sha256(repository: Path, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        commit(repository, seed)
    clone = tmp_path / "shallow" / "m"
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{repository}", str(clone), GIT_ALLOW_PROTOCOL="file")
    assert sorted(seeds(history(tmp_path / "shallow"))) == [2, 3]
    other = tmp_path / "sha256" / "m"
    other.mkdir(parents=True)
    git(other, "init", "-q", "--object-format=sha256")
    for seed in (1, 2):
        commit(other, seed)
    assert seeds(history(tmp_path / "sha256")) == [2, 1]


def test_a_worktree_within_the_lake(repository: Path) -> None:
    for seed in (1, 2):
        commit(repository, seed)
    git(repository, "worktree", "add", "-q", str(repository.parent / "second"), "HEAD~1")
    models, faults = found(repository.parents[1])
    assert faults == []
    assert [item.id for item in models] == ["org/model", "org/second"]


def pointer(content: bytes) -> str:
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    )


def keep(repository: Path, content: bytes) -> None:
    name = hashlib.sha256(content).hexdigest()
    place = repository / ".git" / "lfs" / "objects" / name[:2] / name[2:4] / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def test_large_files_are_read_where_they_are_kept(repository: Path) -> None:
    contents = [save(weights(seed)) for seed in (1, 2, 3)]
    for content in contents:
        (repository / "model.safetensors").write_text(pointer(content))
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "weights")
    for content in contents[1:]:
        keep(repository, content)
    (repository / "model.safetensors").write_bytes(contents[2])
    (source,), (fault,) = found(repository.parents[1])
    assert seeds(read_model(source)) == [3, 2]
    assert "1 files of its history are Git LFS pointers" in str(fault)
    assert "git lfs fetch --all" in str(fault)


def test_a_pointer_in_the_working_tree_is_read_as_what_it_stands_for(repository: Path) -> None:
    content = save(weights(1))
    keep(repository, content)
    (repository / "model.safetensors").write_text(pointer(content))
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "weights")
    os.utime(repository / ".git" / "index", ns=(2**61, 2**61))
    reading = history(repository.parents[1])
    assert (seeds(reading), [item.earlier for item in reading.versions]) == ([1], [False])


def left_out(lake: Path) -> str:
    (source,), faults = found(lake)
    reading = read_model(source)
    assert reading.versions == ()
    return f"{faults} {reading.problems}"


def test_a_large_file_of_another_size_or_behind_a_link_is_not_taken(repository: Path, tmp_path: Path) -> None:
    content = save(weights(1))
    (repository / "model.safetensors").write_text(pointer(content))
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "weights")
    keep(repository, content)
    place = next((repository / ".git" / "lfs").rglob(hashlib.sha256(content).hexdigest()))
    place.write_bytes(content + b"x")
    assert "Git LFS pointer" in left_out(repository.parents[1])
    outside = tmp_path / "outside"
    outside.write_bytes(content)
    place.unlink()
    place.symlink_to(outside)
    assert "Git LFS pointer" in left_out(repository.parents[1])


def test_the_signature_changes_with_the_history(repository: Path) -> None:
    commit(repository, 1)
    before = found(repository.parents[1])[0][0].signature
    assert before == found(repository.parents[1])[0][0].signature
    commit(repository, 2)
    commit(repository, 1)
    assert found(repository.parents[1])[0][0].signature != before


def test_a_damaged_repository_costs_its_history_alone(repository: Path) -> None:
    for seed in (1, 2):
        commit(repository, seed)
    for place in (repository / ".git" / "objects").rglob("*"):
        if place.is_file():
            place.chmod(0o644)
            place.write_bytes(b"damaged")
    (source,), (fault,) = found(repository.parents[1])
    assert isinstance(fault, FormatError)
    assert seeds(read_model(source)) == [2]


def test_a_missing_object_costs_its_state_alone(repository: Path) -> None:
    commit(repository, 1)
    lost = git(repository, "rev-parse", "HEAD:model.safetensors")
    commit(repository, 2)
    place = repository / ".git" / "objects" / lost[:2] / lost[2:]
    place.chmod(0o644)
    content = place.read_bytes()
    place.write_bytes(content[: len(content) // 2])
    (source,), _ = found(repository.parents[1])
    reading = read_model(source)
    assert seeds(reading) == [2]
    assert lost not in str(reading.problems)
    assert len(reading.problems) == 1
    assert not isinstance(reading.problems[0], UnsafeFileError)
