"""How things get their ids: the same content always gets the same id, on every machine, in every order of arrival.

Ids are lower-case hexadecimal BLAKE2b digests of 160 bits (stdlib, so that this floor needs nothing else), except for
models and agents, which keep the name people know them by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from graph_schema.errors import InputError
from graph_schema.plain_text import plain

DIGEST_BYTES = 20
GHOST_PREFIX = "ghost:"
IMPLIED_PREFIX = "ghost: implied:"
"""Of a parent that nothing names; names have no surrounding blanks, so that no claim can bring this about."""

UNKNOWN_BASE = "unknown base of "
"""How the name of a ghost begins that stands for a parent which a document admits not to know."""

_NAME_LIMIT = 512


def digest(*parts: str) -> str:
    """Digest of a sequence of strings, in which no two different sequences collide by concatenation.

    Examples
    --------
    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    return blake2b(json.dumps(parts, ensure_ascii=True).encode(), digest_size=DIGEST_BYTES).hexdigest()


def version_id(tensors: Iterable[tuple[str, str, Sequence[int], str]]) -> str:
    """Id of a set of weights, whatever the file format, the sharding, the order of tensors or the model's name.

    Parameters
    ----------
    tensors : iterable of (role, dtype, shape, content)
        The canonical role of each tensor (a container's naming scheme must not matter), its dtype and shape, and the
        hexadecimal digest of its values in row-major order. Buffers that the architecture implies and tied copies are
        the caller's to leave out.

    Raises
    ------
    InputError
        If there is no tensor: nothing would tell two such sets of weights apart.

    Examples
    --------
    >>> one, two = ("layers.0.query", "F32", (2, 2), "aa"), ("layers.1.query", "F32", (2, 2), "bb")
    >>> version_id([one, two]) == version_id([two, one])
    True
    """
    rows = sorted((role, dtype, tuple(shape), content) for role, dtype, shape, content in tensors)
    if not rows:
        raise InputError("no tensor to identify the weights by", remedy="check that the file holds weights")
    return digest("version", *(json.dumps(row) for row in rows))


def dataset_version_id(files: Iterable[tuple[str, str]]) -> str:
    """Id of a state of a data set, wherever it lies and whatever it is called.

    Parameters
    ----------
    files : iterable of (name, content)
        Names relative to the data set, and the hexadecimal digest of each file's bytes. The name of a single file does
        not count; those of several do, since they tell splits apart.

    Examples
    --------
    >>> dataset_version_id([("a.csv", "aa")]) == dataset_version_id([("b.csv", "aa")])
    True
    """
    rows = sorted(files)
    if not rows:
        raise InputError("no file to identify the data set by")
    if len(rows) == 1:
        return digest("dataset version", rows[0][1])
    return digest("dataset version", *(part.encode("utf-8", "surrogateescape").hex() for row in rows for part in row))


def dataset_ghost_id(name: str) -> str:
    """Id of a state of a data set that is named but absent.

    Examples
    --------
    >>> dataset_ghost_id("imdb")
    'ghost:dataset:imdb'
    """
    return GHOST_PREFIX + clean_name(f"dataset:{name}")


def ghost_id(name: str) -> str:
    """Id of a version that is named but absent.

    Examples
    --------
    >>> ghost_id("bert-base-uncased")
    'ghost:bert-base-uncased'
    """
    return GHOST_PREFIX + clean_name(name)


def implied_id(children: Iterable[str]) -> str:
    """Id of a parent that is not named anywhere, but implied by the weights of its children (in any order).

    Examples
    --------
    >>> implied_id(["b", "a"]) == implied_id(["a", "b"])
    True
    """
    return f"{IMPLIED_PREFIX}{digest('implied', *sorted(children))[:16]}"


def edit_id(relation: str, basis: str, output: str, inputs: Iterable[str]) -> str:
    """Id of a derivation: its relation, its basis, what came out and what went in (in any order)."""
    return digest("edit", relation, basis, output, *sorted(inputs))


def evidence_id(subject: str, kind: str, source: str, method: str) -> str:
    """Id of an observation about `subject` (an Edit's id, or a Model's for a claim)."""
    return digest("evidence", subject, kind, source, method)


def clean_name(name: str) -> str:
    """A name fit for an id: no control characters (bidirectional ones too), no blanks around, at most 512 characters.

    Examples
    --------
    >>> clean_name(" org/model\\n")
    'org/model'
    """
    return plain(name.strip())[:_NAME_LIMIT]
