"""Tar files made to lead elsewhere, to swell, to hang or to lie: what is wrong is said, and the rest is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from graph_schema.errors import EmptyLakeError, FormatError, ModelLakeError, UnsafeFileError
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected
from ingest.readers import open_tensors

MEMORY_ALLOWED = 512 << 20
WEIGHTS = save({"w": np.arange(4, dtype=np.float32)})


@pytest.fixture(autouse=True)
def nothing_swells() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY_ALLOWED


def header(name: str, size: int = 0, **fields: object) -> tarfile.TarInfo:
    item = tarfile.TarInfo(name)
    item.size = size
    for field, value in fields.items():
        setattr(item, field, value)
    return item


def archive(*items: tarfile.TarInfo, weights: bool = True) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        if weights:
            file.addfile(header("m/model.safetensors", len(WEIGHTS)), io.BytesIO(WEIGHTS))
        for item in items:
            file.addfile(item, io.BytesIO(bytes(item.size)))
    return buffer.getvalue()


def found(folder: Path) -> tuple[list[ModelSource], list[ModelLakeError]]:
    models, faults = [], []
    try:
        for item in discover([folder]):
            if isinstance(item, Rejected):
                faults.append(item.error)
            else:
                models.append(item)
    except EmptyLakeError:
        pass
    for model in models:
        for weights in model.weights:
            with open_tensors(weights.files) as opened:
                for info in opened.tensors:
                    opened.read(info, 0, info.size)
    return models, faults


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "../../secret.safetensors"),
        (tarfile.LNKTYPE, "m/model.safetensors"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.GNUTYPE_SPARSE, ""),
    ],
)
def test_what_is_no_regular_file_is_refused_aloud_and_the_rest_is_read(
    tmp_path: Path, kind: bytes, target: str
) -> None:
    (tmp_path / "x.tar").write_bytes(archive(header("m/other.safetensors", type=kind, linkname=target)))
    models, (fault,) = found(tmp_path)
    assert isinstance(fault, UnsafeFileError)
    assert "other.safetensors" in str(fault)
    assert [item.base for model in models for item in model.weights[0].files] == ["model.safetensors"]


def test_a_sparse_file_in_pax_headers_is_refused(tmp_path: Path) -> None:
    fields = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 50)}
    (tmp_path / "x.tar").write_bytes(archive(header("m/sparse.safetensors", 512, pax_headers=fields)))
    _, (fault,) = found(tmp_path)
    assert "sparse" in str(fault)


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"size": "-1"},
        {"size": str(1 << 70)},
        {"size": "0x10"},
        {"size": str(1 << 40)},
        {"path": "m/model.safetensors"},
    ],
)
def test_pax_headers_lead_nowhere(tmp_path: Path, fields: dict[str, str]) -> None:
    (tmp_path / "x.tar").write_bytes(archive(header("m/other.safetensors", 512, pax_headers=fields)))
    _, (fault,) = found(tmp_path)
    assert isinstance(fault, FormatError)


def test_a_global_header_cannot_name_all_members(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"path": "m/model.safetensors"}) as file:
        file.addfile(header("m/other.safetensors", len(WEIGHTS)), io.BytesIO(WEIGHTS))
    (tmp_path / "x.tar").write_bytes(buffer.getvalue())
    models, (fault,) = found(tmp_path)
    assert (models, type(fault)) == ([], UnsafeFileError)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_of_a_gigabyte_is_refused(tmp_path: Path, kind: bytes) -> None:
    start = header("x", 1 << 30, type=kind).tobuf(tarfile.GNU_FORMAT)
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(start)
        file.truncate(1 << 31)
    _, (fault,) = found(tmp_path)
    assert isinstance(fault, UnsafeFileError)


@pytest.mark.parametrize("content", [b"99 path=x\n", b"0 path=x\n", b"-5 a=b\n", b"path=x\n", b"9" * 4000, b"6 a=bc"])
def test_damaged_pax_records_are_errors(tmp_path: Path, content: bytes) -> None:
    item = header("x", len(content), type=tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    body = content + bytes(-len(content) % 512)
    (tmp_path / "x.tar").write_bytes(item + body + archive())
    _, (fault,) = found(tmp_path)
    assert isinstance(fault, FormatError)


def test_a_size_of_binary_digits_that_is_absurd_is_an_error(tmp_path: Path) -> None:
    content = bytearray(archive())
    for value in (b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\x80" + bytes(3) + b"\x7f" + b"\xff" * 7, b"zzzz"):
        content[124:136] = value.ljust(12, b"\0")
        content[148:156] = b" " * 8
        content[148:156] = b"%06o\0 " % sum(content[:512])
        (tmp_path / "x.tar").write_bytes(content)
        models, (fault,) = found(tmp_path)
        assert (models, isinstance(fault, FormatError)) == ([], True)


def test_a_tar_file_cut_anywhere_is_an_error_or_a_shorter_one(tmp_path: Path) -> None:
    content = archive(header("m/config.json", 600))
    for cut in range(1, len(content), 97):
        (tmp_path / "x.tar").write_bytes(content[:cut])
        models, faults = found(tmp_path)
        assert len(models) + len(faults) >= 1


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_bombs_are_refused(tmp_path: Path, suffix: str) -> None:
    size = 1 << 28
    start = header("m/model.safetensors", size).tobuf(tarfile.USTAR_FORMAT)
    opens = {".tar.gz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}[suffix]
    with opens(tmp_path / f"x{suffix}", "wb") as file:
        file.write(start)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    models, (fault,) = found(tmp_path)
    assert (models, type(fault)) == ([], UnsafeFileError)
    assert "would unpack" in str(fault)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_damaged_compression_is_an_error(tmp_path: Path, suffix: str) -> None:
    pack = {".tar.gz": gzip.compress, ".tar.bz2": bz2.compress, ".tar.xz": lzma.compress}[suffix]
    content = pack(archive())
    for damaged in (content[: len(content) // 2], content + b"stray", content[:40] + b"\xff" * 8 + content[48:]):
        (tmp_path / f"x{suffix}").write_bytes(damaged)
        models, (fault,) = found(tmp_path)
        assert (models, isinstance(fault, FormatError)) == ([], True)


def test_xz_that_asks_for_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    compressor = lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}])
    content = bytearray(compressor.compress(archive()) + compressor.flush())
    # The dictionary's size is one byte of the block's header: 36 stands for a gigabyte. A checksum ends the header.
    content[content.index(b"\x21\x01") + 2] = 36
    begin, length = 12, (content[12] + 1) * 4
    content[begin + length - 4 : begin + length] = zlib.crc32(content[begin : begin + length - 4]).to_bytes(4, "little")
    (tmp_path / "x.tar.xz").write_bytes(content)
    _, (fault,) = found(tmp_path)
    assert "memory" in str(fault).lower()


def test_tar_files_within_tar_files_end(tmp_path: Path) -> None:
    content = archive()
    for _ in range(6):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as file:
            file.addfile(header("inner.tar.gz", len(content)), io.BytesIO(content))
        content = buffer.getvalue()
    (tmp_path / "x.tar.gz").write_bytes(content)
    models, (fault,) = found(tmp_path)
    assert (models, type(fault)) == ([], UnsafeFileError)
