"""Git repositories made to run programs, fetch, leave the lake or hang: nothing of it happens."""

from __future__ import annotations

import os
import shutil
import time
import zlib
from pathlib import Path

import pytest

from graph_schema.errors import ModelLakeError
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected
from ingest.reading import read_model
from tests.unit.ingest.test_git_history import commit, git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "model"
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "config.json").write_text("{}")
    for seed in (1, 2):
        commit(folder, seed)
    return folder


def read(lake: Path) -> tuple[int, list[ModelLakeError]]:
    """Number of versions, and what was left out."""
    started = time.monotonic()
    versions, faults = 0, []
    for item in discover([lake]):
        if isinstance(item, Rejected):
            faults.append(item.error)
        else:
            assert isinstance(item, ModelSource)
            reading = read_model(item)
            versions += len(reading.versions)
            faults += reading.problems
    assert time.monotonic() - started < 120, "it hung"
    return versions, faults


def test_no_setting_of_a_repository_runs(repository: Path, tmp_path: Path) -> None:
    tripwire = tmp_path / "ran"
    script = tmp_path / "lake" / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {tripwire}\ncat\n")
    script.chmod(0o755)
    for name in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman", "post-index-change"):
        shutil.copy(script, repository / ".git" / "hooks" / name)
    (repository / ".git" / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n"
        + "".join(f"\t{key} = {script}\n" for key in ("fsmonitor", "sshCommand", "pager", "editor", "askPass"))
        + f"\thooksPath = {repository}/.git/hooks\n\tworktree = /\n\tattributesFile = {repository}/a\n"
        + f'[filter "x"]\n\tsmudge = {script}\n\tclean = {script}\n\tprocess = {script}\n'
        + f'[diff "x"]\n\ttextconv = {script}\n\tcommand = {script}\n[diff]\n\texternal = {script}\n'
        + f"[alias]\n\tlog = !{script}\n\tcat-file = !{script}\n[credential]\n\thelper = {script}\n"
        + f"[gpg]\n\tprogram = {script}\n[log]\n\tshowSignature = true\n[pager]\n\tlog = {script}\n"
        + f'[remote "origin"]\n\turl = ext::{script}\n\tpromisor = true\n\tuploadpack = {script}\n\tvcs = {script}\n'
        + "[extensions]\n\tpartialClone = origin\n\tunknown = true\n[include]\n\tpath = /dev/zero\n"
        + f"[uploadpack]\n\tpackObjectsHook = {script}\n[trace2]\n\teventTarget = {tripwire}\n"
    )
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=x diff=x merge=x\n")
    assert read(repository.parent) == (2, [])
    assert not tripwire.exists()


def test_what_the_caller_configured_does_not_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tripwire = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {tripwire}\n")
    script.chmod(0o755)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    monkeypatch.setenv("GIT_PAGER", str(script))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(script))
    monkeypatch.setenv("GIT_TRACE", str(tripwire))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert read(repository.parent) == (2, [])
    assert not tripwire.exists()


def test_objects_of_another_repository_are_not_borrowed(repository: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    git(secret, "init", "-q")
    found = commit(secret, 7)
    info = repository / ".git" / "objects" / "info"
    info.mkdir(exist_ok=True)
    (info / "alternates").write_text(f"{secret}/.git/objects\n")
    (repository / ".git" / "refs" / "heads" / "stolen").write_text(found + "\n")
    versions, (fault,) = read(repository.parent)
    assert (versions, "borrows" in str(fault)) == (1, True)


@pytest.mark.parametrize("part", ["objects", "objects/pack", "refs", "HEAD", "packed-refs"])
def test_links_out_of_the_lake_are_not_followed(repository: Path, tmp_path: Path, part: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    git(secret, "init", "-q")
    commit(secret, 7)
    git(secret, "gc", "-q")
    place = repository / ".git" / part
    if place.is_dir():
        shutil.rmtree(place)
    elif place.exists():
        place.unlink()
    place.symlink_to(secret / ".git" / part)
    versions, faults = read(repository.parent)
    assert versions <= 2
    for model in discover([repository.parent]):
        if isinstance(model, ModelSource):
            assert not any(str(item.path).startswith(str(secret)) for part in model.weights for item in part.files)
    assert versions == 2 or faults


def test_a_git_file_that_leads_out_of_the_lake_is_refused(repository: Path, tmp_path: Path) -> None:
    (repository / ".git").rename(tmp_path / "elsewhere")
    (repository / ".git").write_text(f"gitdir: {tmp_path}/elsewhere\n")
    versions, (fault,) = read(repository.parent)
    assert (versions, "out of the lake" in str(fault)) == (1, True)


@pytest.mark.parametrize("part", ["HEAD", "config", "packed-refs", "objects/pack/pack-1.idx", "refs/heads/x", "index"])
def test_pipes_do_not_hang(repository: Path, part: str) -> None:
    place = repository / ".git" / part
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)
    versions, _ = read(repository.parent)
    assert versions >= 1


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("HEAD", b"ref: refs/heads/../../../../etc/passwd\n"),
        ("HEAD", b"--upload-pack=touch x\n"),
        ("HEAD", bytes(1 << 20)),
        ("refs/heads/main", b"--exec=touch x\n"),
        ("refs/heads/main", b"0" * 40),
        ("packed-refs", b"--output=x refs/heads/main\n" + b"f" * 40 + b" refs/heads/gone\n"),
        ("shallow", b"--exec\n"),
        ("index", b"DIRC\0\0\0\2\xff\xff\xff\xff"),
        ("objects/pack/pack-1.idx", b"\xfftOc\0\0\0\2" + b"\xff" * 2000),
        ("objects/info/commit-graph", b"CGPH" + b"\xff" * 2000),
    ],
)
def test_damaged_and_hostile_files_cost_the_history_at_most(repository: Path, part: str, content: bytes) -> None:
    place = repository / ".git" / part
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    versions, _ = read(repository.parent)
    assert versions >= 1
    assert not (repository / "x").exists()


def test_an_object_that_is_not_what_its_name_says_is_refused(repository: Path) -> None:
    found = git(repository, "rev-parse", "HEAD~1:model.safetensors")
    place = repository / ".git" / "objects" / found[:2] / found[2:]
    content = zlib.decompress(place.read_bytes())
    place.chmod(0o644)
    place.write_bytes(zlib.compress(content[:-4] + b"evil"))
    versions, (fault,) = read(repository.parent)
    assert (versions, "damaged" in str(fault)) == (1, True)


def test_an_object_that_states_an_absurd_size_is_an_error(repository: Path) -> None:
    found = git(repository, "rev-parse", "HEAD~1:model.safetensors")
    place = repository / ".git" / "objects" / found[:2] / found[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 999999999999999\0" + bytes(1000)))
    versions, faults = read(repository.parent)
    assert versions == 1
    assert faults


def test_names_in_a_tree_lead_nowhere(repository: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:model.safetensors")
    evil = repository / "tree"
    entries = b"".join(b"100644 " + name + b"\0" + bytes.fromhex(blob) for name in (b"..", b"a\nb.safetensors"))
    evil.write_bytes(entries)
    tree = git(repository, "hash-object", "-t", "tree", "-w", "--literally", "tree")
    evil.unlink()
    (repository / ".git" / "refs" / "heads" / "evil").write_text(git(repository, "commit-tree", tree, "-m", "x") + "\n")
    for model in discover([repository.parent]):
        assert isinstance(model, ModelSource)
        assert "\n" not in model.id
        assert ".." not in model.id


def test_authors_are_plain_names(repository: Path) -> None:
    names = {"GIT_AUTHOR_NAME": "Eve <eve@example.org> \x1b[2J" + "x" * 999}
    (repository / "model.safetensors").write_bytes(b"")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "x", date=4_000_000_000, **names)
    (model,) = (item for item in discover([repository.parent]) if isinstance(item, ModelSource))
    for weights in model.weights:
        author = (weights.commit and weights.commit.author) or ""
        assert "@" not in author
        assert "\x1b" not in author
        assert len(author) <= 200
