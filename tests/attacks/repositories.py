"""Git repositories put together by hand from parts that may be damaged, so that `git` and our reading of it meet them.

Objects are filed under the hash of whatever they hold: damage then passes the checks of `git`, and reaches what is made
of its output.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.attacks.reading import read_lake

WEIGHTS = "model.safetensors"


def repository(part: str, weights: bytes) -> Callable[[bytes], None]:
    """From the bytes of one part of a repository, through its history, to all that is read of it.

    Parameters
    ----------
    part : str
        A key of `parts`.
    weights : bytes
        A file of weights, for the parts that are whole.
    """

    def parse(content: bytes) -> None:
        with TemporaryDirectory() as folder:
            build(Path(folder) / "model", parts(weights) | {part: content})
            read_lake(Path(folder), documents=False)

    return parse


def parts(weights: bytes) -> dict[str, bytes]:
    """The parts of a small valid repository: one commit of one file, named by a branch, and the index of it."""
    blob = _id(b"blob", weights)
    tree = b"100644 README.md\0" + _id(b"blob", b"# x") + f"100644 {WEIGHTS}\0".encode() + blob
    author = b"A. Author <a@example.org> 1700000000 +0100"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nfirst\n" % (_id(b"tree", tree).hex().encode(), author, author)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(weights).hexdigest()}\n"
    return {
        "blob": weights,
        "pointer": f"{pointer}size {len(weights)}\n".encode(),
        "tree": tree,
        "commit": commit,
        "references": b"# pack-refs with: peeled fully-peeled sorted\nCOMMIT refs/heads/main\n",
        "index": _index(blob, len(weights)),
    }


def build(folder: Path, given: dict[str, bytes]) -> None:
    """Write a repository; parts refer to each other as long as they are what `parts` made them."""
    place = folder / ".git"
    (place / "objects").mkdir(parents=True)
    (place / "refs" / "heads").mkdir(parents=True)
    valid = parts(given["blob"])
    _file(place, b"blob", b"# x")
    blob = _file(place, b"blob", given["blob"])
    tree = given["tree"]
    if given["pointer"] != valid["pointer"]:
        # The file is kept by Git LFS, and the tree names what should be a pointer to it.
        tree = tree.replace(blob, _file(place, b"blob", given["pointer"]))
        name = hashlib.sha256(given["blob"]).hexdigest()
        kept = place / "lfs" / "objects" / name[:2] / name[2:4]
        kept.mkdir(parents=True)
        (kept / name).write_bytes(given["blob"])
    found = _file(place, b"tree", tree).hex().encode()
    commit = given["commit"].replace(_id(b"tree", valid["tree"]).hex().encode(), found)
    tip = _file(place, b"commit", commit).hex().encode()
    (place / "packed-refs").write_bytes(given["references"].replace(b"COMMIT", tip))
    (place / "HEAD").write_bytes(b"ref: refs/heads/main\n")
    # `git` checks the hash at the end of an index and looks no further where it is wrong.
    (place / "index").write_bytes(given["index"] + hashlib.sha1(given["index"], usedforsecurity=False).digest())
    (folder / WEIGHTS).write_bytes(given["blob"])


def _id(kind: bytes, content: bytes) -> bytes:
    header = b"%s %d\0" % (kind, len(content))
    return hashlib.sha1(header + content, usedforsecurity=False).digest()


def _file(place: Path, kind: bytes, content: bytes) -> bytes:
    found = _id(kind, content)
    path = place / "objects" / found.hex()[:2] / found.hex()[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(b"%s %d\0" % (kind, len(content)) + content))
    return found


def _index(blob: bytes, size: int) -> bytes:
    """Version 2 of the format, without the hash at its end: one entry, padded to a multiple of eight bytes."""
    name = WEIGHTS.encode()
    entry = struct.pack(">10I", 1, 0, 1, 0, 0, 0, 0o100644, 0, 0, size) + blob + struct.pack(">H", len(name)) + name
    return struct.pack(">4sII", b"DIRC", 2, 1) + entry + bytes(8 - len(entry) % 8)
