"""Text out of cards and file names, made harmless where Streamlit would read Markdown."""

from __future__ import annotations

import unicodedata

_SPECIAL = frozenset("\\`*_{}[]()<>#+-.!|~$&:/\"'=^@%")
_BLANK = "�"


def as_markdown(text: str) -> str:
    """Markdown that shows a text as it stands: no link, image, HTML, formula, colour, line break.

    Control and direction-changing characters are shown as replacement characters, so that a name cannot pass for
    another one.

    Examples
    --------
    >>> print(as_markdown("[a](http://b) :red[c]"))
    \\[a\\]\\(http\\:\\/\\/b\\) \\:red\\[c\\]
    """
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in visible(text))


def visible(text: str) -> str:
    """The text with control and direction-changing characters replaced, so that it stays on its line and in its order.

    Examples
    --------
    >>> visible("a\\nb\\u202ec")
    'a�b�c'
    """
    return "".join(_BLANK if unicodedata.category(item) in {"Cc", "Cf", "Cs"} else item for item in text)
