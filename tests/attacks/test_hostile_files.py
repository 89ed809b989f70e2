"""Files made to run code, leave the lake, exhaust the machine or hang it: nothing of it happens, and it is said why."""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from ingest.claims import read_documents
from ingest.claims.safe_yaml import load_yaml
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected
from ingest.readers import open_tensors
from ingest.readers.pickle_machine import PickleMachine

MEMORY_ALLOWED = 512 << 20
TRIPWIRE = "MODELLAKE_TRIPWIRE"


@pytest.fixture(autouse=True)
def nothing_runs_or_swells() -> Iterator[None]:
    os.environ.pop(TRIPWIRE, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield
    assert TRIPWIRE not in os.environ, "the attack ran"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY_ALLOWED


CODE = f"import os; os.environ[{TRIPWIRE!r}] = '1'"


class Runs:
    """Pickles to a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


HOSTILE_PICKLES = {
    "reduce": pickle.dumps(Runs(exec, CODE), protocol=2),
    "reduce, protocol 4": pickle.dumps(Runs(exec, CODE), protocol=4),
    "reduce, protocol 0": b"\x80\x02" + pickle.dumps(Runs(exec, CODE), protocol=0),
    "inst": b"\x80\x02(" + text(CODE) + b"ibuiltins\nexec\n.",
    "obj": b"\x80\x02(cbuiltins\nexec\n" + text(CODE) + b"o.",
    "newobj": b"\x80\x02cbuiltins\nexec\n" + text(CODE) + b"\x85\x81.",
    "newobj_ex": b"\x80\x04cbuiltins\nexec\n" + text(CODE) + b"\x85}\x92.",
    "build": b"\x80\x02ccollections\nOrderedDict\n)R}" + text("x") + text("y") + b"sb.",
    "build on a global": b"\x80\x02ctorch\nFloatStorage\n}b.",
    "dotted attribute": b"\x80\x04" + stack_global("torch._utils", "_rebuild_tensor_v2.__globals__") + b".",
    "getattr": b"\x80\x04" + stack_global("builtins", "getattr") + b".",
    "allowed module, other name": b"\x80\x02ctorch\nload\n(" + text("x") + b"tR.",
    "runpy": b"\x80\x02crunpy\n_run_code\n(" + text(CODE) + b"}tR.",
    "numpy load": b"\x80\x02cnumpy\nload\n.",
    "operator": b"\x80\x02coperator\nattrgetter\n.",
    "pip main": b"\x80\x02cpip\nmain\n.",
    "extension registry": b"\x80\x02\x82\x01.",
    "persistent id as text": b"\x80\x02Pos.system\n.",
    "persistent id that calls": b"\x80\x02(" + text("storage") + b"cos\nsystem\ntQ.",
    "code behind the stop": pickle.dumps(1) + pickle.dumps(Runs(exec, CODE)),
    "code before the checkpoint": pickle.dumps(Runs(exec, CODE), protocol=2) + pickle.dumps(0x1950A86A20F9469CFC6C),
    "broken after the call": pickle.dumps(Runs(exec, CODE), protocol=2)[:-1] + b"\xff",
    "module name with a newline": b"\x80\x04" + stack_global("torch\n", "FloatStorage") + b".",
    "shadowed name": b"\x80\x04" + stack_global("torch.storage", "_load_from_bytes") + b".",
    "codecs": b"\x80\x04" + stack_global("_codecs", "encode") + b"(" + text("x") + text("hex") + b"tR.",
}


@pytest.mark.parametrize("content", HOSTILE_PICKLES.values(), ids=HOSTILE_PICKLES.keys())
@pytest.mark.parametrize("zipped", [False, True])
def test_no_pickle_runs(tmp_path: Path, content: bytes, zipped: bool) -> None:
    file = tmp_path / "pytorch_model.bin"
    if zipped:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/data/0", bytes(16))
    else:
        file.write_bytes(content)
    with pytest.raises(FormatError):
        open_first(tmp_path)


SWELLING_PICKLES = {
    "a memo index of two billion": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a text of an exabyte": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "a frame of an exabyte": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "a number of a gigabyte": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"\x01.",
    "a tuple that doubles": b"\x80\x02)" + b"2\x86" * 200 + b".",
    "a list within itself": b"\x80\x02]q\x00h\x00a.",
    "a deep tuple": b"\x80\x02)" + b"\x85" * 200_000 + b".",
    "an unhashable key": b"\x80\x02}]Ns.",
    "a mark as a value": b"\x80\x02((t.",
    "an empty stack": b"\x80\x020.",
}


@pytest.mark.parametrize("content", SWELLING_PICKLES.values(), ids=SWELLING_PICKLES.keys())
def test_no_pickle_swells_or_hangs(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(FormatError):
        open_first(tmp_path)


def test_the_machine_returns_plain_objects_alone() -> None:
    content = pickle.dumps({"a": [1, 2.5, None, True, b"x", "y", (1, 2)]}, protocol=4)
    with pytest.raises(UnsafeFileError):
        PickleMachine(pickle.dumps(np.float32(1)), where="m").load()
    assert PickleMachine(content, where="m").load() == {"a": [1, 2.5, None, True, b"x", "y", (1, 2)]}


def open_first(folder: Path) -> None:
    source = next(item for item in discover([folder]) if isinstance(item, ModelSource))
    for weights in source.weights:
        with open_tensors(weights.files) as opened:
            for info in opened.tensors:
                opened.read(info, 0, info.size)


def bomb(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as out,
    ):
        for _ in range(size >> 20):
            out.write(bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["archive/data.pkl", "w.npy"])
def test_zip_bombs_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.pt").write_bytes(bomb(name, 256 << 20))
    with pytest.raises(UnsafeFileError, match="would unpack"):
        open_first(tmp_path)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    content = bytearray(bomb("w.npy", 64 << 20))
    place = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, place + 24, 1000)
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(FormatError):
        open_first(tmp_path)


def test_a_zip_directory_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    content = bytearray(bomb("archive/data.pkl", 1 << 20))
    struct.pack_into("<I", content, content.rfind(b"PK\x05\x06") + 12, 1 << 30)
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(FormatError):
        open_first(tmp_path)


def test_numpy_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([Runs(exec, CODE)], dtype=object), allow_pickle=True)
    with pytest.raises(UnsafeFileError, match="pickles"):
        open_first(tmp_path)


BILLION_LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_LAUGHS = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{','.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "content",
    [
        BILLION_LAUGHS,
        MERGE_LAUGHS,
        "[" * 100_000,
        "a: " + "{b: " * 10_000,
        "- " * 50_000,
        "x: !!python/object/apply:os.system ['true']",
        f"x: !!python/object/apply:builtins.exec [{CODE!r}]",
        "x: !!python/object/new:os.system [true]",
        "x: !!python/name:os.system",
        "x: !!python/module:os",
        "&a [*a]",
        "? [a]\n: b",
        "a: " + "9" * 10_000,
    ],
    ids=lambda content: content[:24],
)
def test_yaml_builds_nothing_but_plain_values(content: str) -> None:
    try:
        value = load_yaml(content, where="card")
    except FormatError:
        return
    assert isinstance(value, (list, dict))


def test_a_hostile_card_costs_its_claims_and_nothing_else(tmp_path: Path) -> None:
    for name, front in {"laughs": BILLION_LAUGHS, "tag": "a: !!python/name:os.system", "deep": "[" * 99_999}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
        (folder / "README.md").write_text(f"---\n{front}\n---\nA fine-tuned version of [b](https://hf.co/org/b).")
    for source in discover([tmp_path]):
        assert isinstance(source, ModelSource)
        found = read_documents(source)
        assert len(found.problems) == 1
        assert [claim.target for claim in found.claims] == ["org/b"]


def test_a_huge_card_is_cut(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    with (tmp_path / "README.md").open("wb") as file:
        file.write(b"A fine-tuned version of [b](https://hf.co/org/b).\n")
        file.truncate(100 << 20)
    (source,) = discover([tmp_path])
    found = read_documents(source)  # type: ignore[arg-type]
    assert [claim.target for claim in found.claims] == ["org/b"]
    assert "was not read" in str(found.problems[0])


RUNAWAY = [
    *("<a " * 50_000, "[" * 200_000, "base model " * 50_000, "fine-tuned version of " * 30_000, "<!--" * 99_999),
    *("```\n" * 50_000, "@misc{a," * 30_000, "the " * 200_000, "- " * 100_000, "[a](" * 60_000, "merge of " * 40_000),
]


@pytest.mark.parametrize("pattern", RUNAWAY, ids=lambda pattern: pattern[:16])
def test_no_card_makes_the_patterns_run_away(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    (tmp_path / "README.md").write_text(f"# Card\n{pattern}\n{pattern.replace(' ', chr(10))}")
    (source,) = discover([tmp_path])
    read_documents(source)  # type: ignore[arg-type]


def test_markup_in_a_card_stays_text(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    front = 'license: "<script>alert(1)</script>"\ntags: ["<img src=x onerror=alert(1)>"]\nbase_model: "<script>/x"'
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n<script>alert(1)</script>")
    (source,) = discover([tmp_path])
    found = read_documents(source)  # type: ignore[arg-type]
    assert found.model.license == "<script>alert(1)</script>"
    assert found.claims == ()


def test_pipes_and_links_do_not_hang_or_leak(tmp_path: Path) -> None:
    lake, secret = tmp_path / "lake", tmp_path / "secret"
    (lake / "m").mkdir(parents=True)
    secret.mkdir()
    (secret / "model.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    (secret / "README.md").write_text("---\nlicense: secret\n---\n")
    (lake / "m" / "model.safetensors").write_bytes(save({"w": np.ones(2, np.float32)}))
    (lake / "m" / "README.md").symlink_to(secret / "README.md")
    (lake / "elsewhere").symlink_to(secret)
    os.mkfifo(lake / "m" / "pytorch_model.bin")
    os.mkfifo(lake / "m" / "config.json")
    items = list(discover([lake]))
    (source,) = [item for item in items if isinstance(item, ModelSource)]
    assert len([item for item in items if isinstance(item, Rejected)]) == 4
    assert read_documents(source).model.license is None


def test_a_file_swapped_for_a_link_after_discovery_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(save({"w": np.zeros(2, np.float32)}))
    (source,) = discover([tmp_path])
    file.rename(tmp_path / "moved")
    file.symlink_to("/etc/passwd")
    with pytest.raises(ModelLakeError, match="symbolic link"):
        open_tensors(source.weights[0].files)  # type: ignore[union-attr]
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UnsafeFileError, match="regular file"):
        open_tensors(source.weights[0].files)  # type: ignore[union-attr]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device files here")
def test_a_device_given_by_name_is_refused() -> None:
    items = []
    with pytest.raises(ModelLakeError):
        items.extend(discover([Path("/dev/zero")]))


def test_hostile_names_cannot_forge_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "a\nERROR: all is lost\x1b[2J"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (source,) = discover([tmp_path])
    with pytest.raises(FormatError) as caught:
        open_tensors(source.weights[0].files)  # type: ignore[union-attr]
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in source.id  # type: ignore[union-attr]
