"""Archives: a model in a zip file or a wheel is read in place, and its members cannot lead anywhere else."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from graph_schema.errors import EmptyLakeError, FormatError, UnsafeFileError
from ingest.claims import read_documents
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected
from ingest.readers import open_tensors

WEIGHTS = save({"w": np.arange(3000, dtype=np.float32)})
MODEL = {"m/model.safetensors": WEIGHTS, "m/config.json": b"{}", "m/README.md": b"---\nlicense: mit\n---\n"}


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("nested", [False, True])
def test_a_model_in_an_archive_reads_like_one_outside(tmp_path: Path, method: int, nested: bool) -> None:
    content = zipped(MODEL, method)
    name = "tiny_model-1.0-py3-none-any.whl"
    (tmp_path / name).write_bytes(zipped({"package/inner.zip": content}, method) if nested else content)
    (source,) = discover([tmp_path])
    assert isinstance(source, ModelSource)
    assert source.id == "tiny_model-1.0"
    assert read_documents(source).model.license == "mit"
    with open_tensors(source.weights[0].files) as weights:
        assert weights.read(weights.tensors[0], 2998, 3000).tolist() == [2998, 2999]


def tarred(members: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:
        for name, content in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".TBZ2", "w:bz2"), (".tar.xz", "w:xz")]
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("inside", ["", "zip", "tar"])
def test_a_model_in_a_tar_file_reads_like_one_outside(
    tmp_path: Path, suffix: str, mode: str, form: int, inside: str
) -> None:
    folder = "a long name " * 7  # with the file's name more than the 100 bytes of a plain header
    members = {f"./{folder}/{name.split('/')[1]}": content for name, content in MODEL.items()}
    if inside:
        content = zipped(MODEL) if inside == "zip" else tarred(members, form=form)
        members = {f"package/inner.{inside}": content}
    (tmp_path / f"tiny{suffix}").write_bytes(tarred(members, mode, form))
    (source,) = discover([tmp_path])
    assert isinstance(source, ModelSource)
    assert source.id == "tiny"
    assert read_documents(source).model.license == "mit"
    with open_tensors(source.weights[0].files) as weights:
        assert weights.read(weights.tensors[0], 2998, 3000).tolist() == [2998, 2999]


def test_a_compressed_archive_of_pictures_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "pictures.tar.gz").write_bytes(tarred({"a/1.dat": WEIGHTS, "a/2.jpg": b"x"}, "w:gz"))
    assert [getattr(item, "id", item) for item in discover([tmp_path])] == ["m"]


def test_an_archive_in_several_compressed_streams_is_read(tmp_path: Path) -> None:
    content = tarred(MODEL)
    for suffix, pack in {".tar.gz": gzip.compress, ".tar.bz2": bz2.compress, ".tar.xz": lzma.compress}.items():
        folder = tmp_path / suffix[5:]
        folder.mkdir()
        (folder / f"x{suffix}").write_bytes(pack(content[:5000]) + pack(content[5000:]))
        (source,) = discover([folder])
        assert isinstance(source, ModelSource)
        with open_tensors(source.weights[0].files) as weights:
            assert weights.read(weights.tensors[0], 2998, 3000).tolist() == [2998, 2999]


def test_checkpoints_named_like_archives_are_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.tar").write_bytes(WEIGHTS)
    (source,) = discover([tmp_path])
    assert isinstance(source, ModelSource)
    assert source.weights[0].format == "safetensors"


def test_two_models_in_an_archive_keep_their_folders(tmp_path: Path) -> None:
    both = {name.replace("m/", f"{folder}/"): content for folder in "ab" for name, content in MODEL.items()}
    (tmp_path / "both.zip").write_bytes(zipped(both))
    assert [item.id for item in discover([tmp_path]) if isinstance(item, ModelSource)] == ["both/a", "both/b"]


@pytest.mark.parametrize(
    "name", ["../up.safetensors", "/root.safetensors", "a/../../b.safetensors", "a\\b.safetensors"]
)
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_members_named_as_if_outside_are_rejected(tmp_path: Path, name: str, suffix: str) -> None:
    (tmp_path / "x").with_suffix(suffix).write_bytes((zipped if suffix == ".zip" else tarred)({**MODEL, name: WEIGHTS}))
    items = list(discover([tmp_path]))
    (fault,) = [item.error for item in items if isinstance(item, Rejected)]
    assert isinstance(fault, UnsafeFileError)
    assert [item.id for item in items if isinstance(item, ModelSource)] == ["x"]


def test_archives_in_archives_end(tmp_path: Path) -> None:
    content = zipped(MODEL)
    for _ in range(6):
        content = zipped({"inner.zip": content})
    (tmp_path / "x.zip").write_bytes(content)
    items = []
    with pytest.raises(EmptyLakeError):
        items.extend(discover([tmp_path]))


def test_a_damaged_archive_is_reported(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "x.zip").write_bytes(zipped(MODEL)[:-30])
    (fault,) = [item.error for item in discover([tmp_path]) if isinstance(item, Rejected)]
    assert isinstance(fault, FormatError)


def test_an_archive_changes_the_signature(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(MODEL))
    (before,) = discover([tmp_path])
    (tmp_path / "x.zip").write_bytes(zipped({**MODEL, "m/NOTES.md": b"new"}))
    (after,) = discover([tmp_path])
    assert before.signature != after.signature  # type: ignore[union-attr]
