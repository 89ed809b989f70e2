"""Text from strangers on a line of its own: without what moves a cursor, ends a line, or turns reading order round.

Control characters can rewrite a terminal; the bidirectional controls of Unicode show a text in another order than it is
stored ("Trojan Source", Boucher and Anderson 2021). Neither belongs into a name.
"""

from __future__ import annotations

import json

_CONTROL = (*range(32), *range(127, 160))
_BIDIRECTIONAL = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SEPARATORS = (0x2028, 0x2029, 0xFEFF)
_UNSAFE = (*_CONTROL, *_BIDIRECTIONAL, *_SEPARATORS)
_REPLACED = dict.fromkeys(_UNSAFE, "\N{REPLACEMENT CHARACTER}")
_ESCAPED = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSAFE}
_IN_JSON = {code: f"\\u{code:04x}" for code in _UNSAFE if code != 10}


def plain(text: str) -> str:
    """The text with every such character replaced, one for one.

    Examples
    --------
    >>> plain("a\\nb")
    'a�b'
    """
    return text.translate(_REPLACED)


def escaped(text: str) -> str:
    r"""The text with every such character spelled out.

    Examples
    --------
    >>> print(escaped("a\nb"))
    a\x0ab
    """
    return text.translate(_ESCAPED)


def json_text(value: object, *, indent: int | None = 2) -> str:
    """JSON of a value, other scripts as they are and such characters escaped; what JSON lacks becomes its `str`.

    Examples
    --------
    >>> print(json_text({"name": "модель" + chr(0x202E)}, indent=None))
    {"name": "модель\\u202e"}
    """
    # Outside its strings JSON is ASCII, and newlines are the only control characters there.
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str).translate(_IN_JSON)
