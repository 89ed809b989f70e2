"""Members of tar files (POSIX.1-2001 pax, ustar and GNU), read in place; only regular files are offered.

The headers are walked here and not by a library that unpacks: no link is followed, no device made, no sparse map
unrolled, and no header may be larger than it has reason to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.blobs import Blob, WindowBlob, read_bytes
from ingest.zip_members import MEMBERS_LIMIT

BLOCK = 512
EXTENSION_LIMIT = 1 << 20
"""Largest extended header, in bytes; it holds names."""

_REGULAR = b"0\0" + b"7"
_FOLDER = b"5"
_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK = b"x", b"g", b"L", b"K"
_REFUSED = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "a sparse file"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """Where a regular file lies in a tar file, in bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TarDirectory:
    """What a tar file holds.

    Attributes
    ----------
    members : mapping of str to TarMember
        The regular files by name, without a leading `./`.
    refused : tuple of (name, kind)
        Links, devices, pipes and sparse files.
    """

    members: dict[str, TarMember]
    refused: tuple[tuple[str, str], ...]


def looks_like_tar(start: bytes) -> bool:
    """Whether the first 512 bytes of a file are a tar header: their checksum is right."""
    return len(start) >= BLOCK and start[:1] != b"\0" and _checksum_holds(start[:BLOCK])


def tar_directory(blob: Blob) -> TarDirectory:
    """Walk the headers of a tar file.

    Raises
    ------
    FormatError
        If a header is damaged, the file is cut short, or a member is named twice.
    UnsafeFileError
        If it has absurdly many members or an absurdly large header.
    """
    members: dict[str, TarMember] = {}
    refused: list[tuple[str, str]] = []
    for kind, item, sparse in _entries(blob):
        if len(members) + len(refused) >= MEMBERS_LIMIT:
            raise UnsafeFileError(f"tar file has more than {MEMBERS_LIMIT} members", where=blob.name)
        if sparse or kind in _REFUSED:
            refused.append((item.name, "a sparse file" if sparse else _REFUSED[kind]))
        elif kind in _REGULAR and not item.name.endswith("/"):
            if item.name in members:
                raise FormatError("tar file names a member twice", where=f"{blob.name}: {item.name[:120]}")
            members[item.name] = item
    return TarDirectory(members=members, refused=tuple(refused))


def open_tar_member(blob: Blob, item: TarMember, *, name: str) -> Blob:
    """One member as a window of the file."""
    return WindowBlob(blob, item.offset, item.size, name=name)


def _entries(blob: Blob) -> Iterator[tuple[bytes, TarMember, bool]]:
    """Kind, place and whether it is sparse of each entry, extended headers applied to the entry they stand before."""
    position, headers = 0, 0
    extended: dict[str, str] = {}
    while position + BLOCK <= blob.size:
        header = read_bytes(blob, position, BLOCK)
        if not header.strip(b"\0"):
            return
        headers += 1
        if headers > 4 * MEMBERS_LIMIT:
            raise UnsafeFileError("tar file has too many headers", where=blob.name)
        if not _checksum_holds(header):
            raise FormatError(f"tar header at byte {position} is damaged", where=blob.name, remedy="fetch it again")
        kind, size = header[156:157], _number(header[124:136], blob.name)
        begin = position + BLOCK
        if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK):
            if size > EXTENSION_LIMIT:
                raise UnsafeFileError(f"a tar header of {size} bytes", where=blob.name)
            content = read_bytes(blob, begin, size)
            if kind == _PAX:
                extended |= _records(content, blob.name)
            elif kind == _GNU_NAME:
                extended["path"] = _text(content)
            elif kind == _PAX_GLOBAL and {"path", "size"} & _records(content, blob.name).keys():
                raise UnsafeFileError("a tar header names all members alike", where=blob.name)
        else:
            size = _number(extended["size"].encode() + b"\0", blob.name, base=10) if "size" in extended else size
            if kind not in _REGULAR and kind != b"S":
                # Links and devices have no content, whatever size they state.
                size = 0
            name = extended.get("path") or _name(header)
            while name.startswith("./"):
                name = name[2:].lstrip("/") if name[2:3] == "/" else name[2:]
            sparse = kind == b"S" or any(key.startswith("GNU.sparse") for key in extended)
            if begin + size > blob.size:
                raise FormatError(
                    f"member {name[:120]!r} reaches beyond the end", where=blob.name, remedy="the file is cut short"
                )
            yield kind, TarMember(name=name, offset=begin, size=size), sparse
            extended = {}
        position = begin + -(-size // BLOCK) * BLOCK


def _checksum_holds(header: bytes) -> bool:
    try:
        stated = int(header[148:156].split(b"\0")[0].strip() or b"x", 8)
    except ValueError:
        return False
    # The field itself counts as blanks.
    return stated == sum(header[:148]) + sum(header[156:]) + 8 * 32


def _number(text: bytes, where: str, *, base: int = 8) -> int:
    """A size: digits, or GNU's big-endian binary where the highest bit of the first byte is set."""
    if text[:1] == b"\x80":
        value = int.from_bytes(text[1:], "big")
    else:
        digits = text.split(b"\0")[0].strip()
        if not (digits or b"0").isdigit() or len(digits) > 20:
            raise FormatError("a tar header has no valid size", where=where, remedy="fetch it again")
        try:
            value = int(digits or b"0", base)
        except ValueError as error:
            raise FormatError("a tar header has no valid size", where=where, remedy="fetch it again") from error
    if value >= 1 << 62:
        raise FormatError("a tar header states an absurd size", where=where)
    return value


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0")[0]):
        name = prefix + b"/" + name
    return _text(name)


def _text(content: bytes) -> str:
    return content.split(b"\0")[0].decode("utf-8", "surrogateescape")


def _records(content: bytes, where: str) -> dict[str, str]:
    """The `LENGTH KEY=VALUE` lines of a pax header."""
    found: dict[str, str] = {}
    position = 0
    while position < len(content):
        blank = content.find(b" ", position, position + 20)
        digits = content[position:blank] if blank > 0 else b""
        end = position + int(digits) if digits.isdigit() else 0
        if end <= blank or end > len(content) or content[end - 1 : end] != b"\n":
            raise FormatError("a pax header is damaged", where=where, remedy="fetch it again")
        key, _, value = content[blank + 1 : end - 1].partition(b"=")
        found[_text(key)] = _text(value)
        position = end
    return found
