"""msgpack and HDF5 files made to swell, to hang or to lead elsewhere; and code in Keras files, which never runs."""

from __future__ import annotations

import base64
import json
import marshal
import os
import resource
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from ingest.discovery import discover
from ingest.model_source import ModelSource
from ingest.readers import open_tensors

MEMORY_ALLOWED = 512 << 20
TRIPWIRE = "MODELLAKE_TRIPWIRE"


@pytest.fixture(autouse=True)
def nothing_runs_or_swells() -> Iterator[None]:
    os.environ.pop(TRIPWIRE, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield
    assert TRIPWIRE not in os.environ, "the attack ran"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY_ALLOWED


def read_all(folder: Path) -> list[str]:
    (source,) = (item for item in discover([folder]) if isinstance(item, ModelSource))
    names = []
    for weights in source.weights:
        with open_tensors(weights.files) as opened:
            for info in opened.tensors:
                opened.read(info, 0, info.size)
                names.append(info.name)
    return names


def array(shape: bytes, dtype: bytes = b"\xa7float32", content: bytes = b"\xc4\x04" + bytes(4)) -> bytes:
    payload = b"\x93" + shape + dtype + content
    return b"\xc7" + bytes([len(payload)]) + b"\x01" + payload


GOOD = b"\x81\xa1w"
HOSTILE_TREES = {
    "a map of four billion": b"\xdf\xff\xff\xff\xff\xa1a" + array(b"\x91\x01"),
    "a list of four billion": b"\x82\xa1a\xdd\xff\xff\xff\xff\xc0\xa1b" + array(b"\x91\x01"),
    "a text of four gigabytes": b"\x82\xa1a\xdb\xff\xff\xff\xffx" + bytes(80),
    "a key of four gigabytes": b"\x82\xa1a\x01\xdb\xff\xff\xff\xffx" + bytes(80),
    "an array beyond the end": GOOD + b"\xc9\xff\xff\xff\xff\x01\x93",
    "a shape of nothing": GOOD + array(b"\x92\xcf" + b"\xff" * 8 + b"\x00"),
    "a shape of an exabyte": GOOD + array(b"\x92\xcf" + b"\x7f" + b"\xff" * 7 + b"\x01"),
    "a negative length": GOOD + array(b"\x91\xff"),
    "a rank of four billion": GOOD + array(b"\xdd\xff\xff\xff\xff"),
    "objects": GOOD + array(b"\x91\x01", b"\xa6object"),
    "a dtype that is code": GOOD + array(b"\x91\x01", b"\xafO,os.system('x')"),
    "bytes that are too few": GOOD + array(b"\x91\x02"),
    "no bytes": GOOD + array(b"\x91\x01", content=b"\xc0"),
    "nothing reserved": GOOD + b"\xc1" + bytes(80),
    "a key twice": b"\x82\xa1w" + array(b"\x91\x01") + b"\xa1w" + array(b"\x91\x01"),
    "deep": b"\x81\xa1a" * 100_000,
    "lists in lists": GOOD + b"\x81\xa1b" + b"\x91" * 100_000,
    "a number for a key": b"\x82\xa1a\x01\x07" + bytes(80),
    "no arrays": b"\x81\xa1a\xd9\x80" + bytes(128),
    "two of one name": b"\x82\xa6params\x81\xa1w"
    + array(b"\x91\x01")
    + b"\xabbatch_stats\x81\xa1w"
    + array(b"\x91\x01"),
    "pieces that are none": b"\x81\xa1w\x81\xb9__msgpack_chunked_array__\xc3",
}


@pytest.mark.parametrize("content", HOSTILE_TREES.values(), ids=HOSTILE_TREES.keys())
def test_no_tree_swells_or_hangs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "flax_model.msgpack").write_bytes(content)
    with pytest.raises(FormatError):
        read_all(tmp_path)


@pytest.mark.parametrize(("shape", "sizes"), [([4, 1 << 40], [4]), ([4], [2, 3]), ([-1], [1]), ([[4]], [4])])
def test_pieces_that_do_not_add_up_are_an_error(tmp_path: Path, shape: list, sizes: list[int]) -> None:
    def pack(value: object) -> object:
        assert isinstance(value, np.ndarray)
        return msgpack.ExtType(1, msgpack.packb((value.shape, value.dtype.name, value.tobytes())))

    node = {
        "__msgpack_chunked_array__": True,
        "shape": {str(number): length for number, length in enumerate(shape)},
        "chunks": {str(number): np.zeros(size, np.float32) for number, size in enumerate(sizes)},
    }
    (tmp_path / "flax_model.msgpack").write_bytes(msgpack.packb({"w": node}, default=pack))
    with pytest.raises(FormatError):
        read_all(tmp_path)


def test_msgpack_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    content = b"\x82\xa1v" + array(b"\x91\x01") + b"\xa1w" + array(b"\x91\x01")
    for cut in range(len(content)):
        (tmp_path / "flax_model.msgpack").write_bytes(content[:cut])
        with pytest.raises(ModelLakeError):
            read_all(tmp_path)


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file.attrs["keras_version"] = "3"
        file["dense/dense/kernel"] = np.ones((2, 2), np.float32)
        yield file


def secret(tmp_path: Path) -> Path:
    place = tmp_path.parent / f"{tmp_path.name}-secret.h5"
    with h5py.File(place, "w") as file:
        file["w"] = np.arange(4.0)
    return place


def external_link(file: h5py.File, tmp_path: Path) -> None:
    file["dense/dense/bias"] = h5py.ExternalLink(secret(tmp_path), "/w")


def soft_link(file: h5py.File, tmp_path: Path) -> None:
    file["dense/dense/bias"] = h5py.SoftLink("/dense")


def external_storage(file: h5py.File, tmp_path: Path) -> None:
    file.create_dataset("dense/dense/bias", (4,), "<f8", external=[(str(secret(tmp_path)), 0, 32)])


def virtual(file: h5py.File, tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((4,), "<f8")
    layout[:] = h5py.VirtualSource(secret(tmp_path), "w", (4,))
    file.create_virtual_dataset("dense/dense/bias", layout)


def unallocated(file: h5py.File, tmp_path: Path) -> None:
    file.create_dataset("dense/dense/bias", (1 << 40,), "<f4", chunks=(1 << 10,))


def bomb(file: h5py.File, tmp_path: Path) -> None:
    file.create_dataset("dense/dense/bias", data=np.zeros(1 << 26, "<f4"), chunks=(1 << 20,), compression="gzip")


def huge_pieces(file: h5py.File, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=1 << 15).astype("<f4")
    file.create_dataset("dense/dense/bias", data=values, maxshape=(None,), chunks=(1 << 25,), compression="lzf")


def texts(file: h5py.File, tmp_path: Path) -> None:
    file.create_dataset("dense/dense/bias", data=["import os"], dtype=h5py.string_dtype())


def references(file: h5py.File, tmp_path: Path) -> None:
    file.create_dataset("dense/dense/bias", data=[file["dense"].ref], dtype=h5py.ref_dtype)


def pickled(file: h5py.File, tmp_path: Path) -> None:
    file.create_dataset("dense/dense/bias", data=np.void(b"\x80\x04cos\nsystem\n."))


def nested(file: h5py.File, tmp_path: Path) -> None:
    group = file["dense"]
    for _ in range(200):
        group = group.create_group("a")


HDF5_ATTACKS = (
    *(external_link, soft_link, external_storage, virtual, unallocated, huge_pieces, bomb),
    *(texts, references, pickled, nested),
)


@pytest.mark.parametrize("attack", HDF5_ATTACKS, ids=lambda attack: attack.__name__)
def test_no_hdf5_leads_elsewhere_or_swells(tmp_path: Path, saved: h5py.File, attack) -> None:
    attack(saved, tmp_path)
    saved.close()
    with pytest.raises(FormatError):
        read_all(tmp_path)


def test_a_group_within_itself_ends(tmp_path: Path, saved: h5py.File) -> None:
    saved["dense/again"] = saved["dense"]
    saved["dense/root"] = saved["/"]
    saved.close()
    assert read_all(tmp_path) == ["dense.weight"]


def test_hdf5_cut_or_overwritten_anywhere_is_an_error_or_what_it_was(tmp_path: Path, saved: h5py.File) -> None:
    saved.close()
    file = tmp_path / "tf_model.h5"
    content = file.read_bytes()
    for cut in range(16, len(content), 211):
        for damaged in (content[:cut], content[:cut] + b"\xff" * 16 + content[cut + 16 :]):
            file.write_bytes(damaged)
            try:
                names = read_all(tmp_path)
            except (ModelLakeError, ValueError):
                continue
            assert set(names) <= {"dense.weight", "dense/dense.weight"} or names


def lambda_config() -> dict:
    code = compile(f"__import__('os').environ.__setitem__({TRIPWIRE!r}, '1')", "x", "exec")
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {
            "name": "lambda",
            "function": {
                "class_name": "__lambda__",
                "config": {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None},
            },
        },
    }
    return {"class_name": "Sequential", "config": {"layers": [layer]}}


def test_the_configuration_of_a_keras_file_is_never_looked_at(tmp_path: Path, saved: h5py.File) -> None:
    saved.attrs["model_config"] = json.dumps(lambda_config())
    saved.close()
    assert read_all(tmp_path) == ["dense.weight"]
    content = (tmp_path / "tf_model.h5").read_bytes()
    (tmp_path / "tf_model.h5").unlink()
    for config in (json.dumps(lambda_config()), "[" * 100_000, "no json"):
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", content)
            archive.writestr("../../evil.py", "raise SystemExit")
        assert read_all(tmp_path) == ["dense.weight"]


def test_a_keras_file_whose_weights_are_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(1 << 28))
    with pytest.raises(UnsafeFileError, match="would unpack"):
        read_all(tmp_path)


def test_a_superblock_that_lies_is_an_error(tmp_path: Path, saved: h5py.File) -> None:
    saved.close()
    file = tmp_path / "tf_model.h5"
    content = bytearray(file.read_bytes())
    for place in (8, 9, 13, 14, 24, 32, 40, 48, 64):
        damaged = content.copy()
        struct.pack_into("<Q", damaged, place, 0xFFFFFFFFFFFFFF00)
        file.write_bytes(damaged)
        try:
            read_all(tmp_path)
        except ModelLakeError:
            continue
