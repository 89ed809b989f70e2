"""Text out of cards and file names, made harmless where Streamlit would read Markdown."""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = frozenset("\\`*_{}[]()<>#+-.!|~$&:/\"'=^@%")
_BLANK = "�"
# Addresses become links even where every character is escaped; an invisible word joiner within them prevents it.
_JOINER = "\u2060"
_ADDRESS = re.compile(r"(:)(?=//)|(www)(?=\.)|(@)", re.IGNORECASE)


def as_markdown(text: str) -> str:
    """Markdown that shows a text as it stands: no link, image, HTML, formula, colour, line break.

    Control and direction-changing characters are shown as replacement characters, so that a name cannot pass for
    another one.

    Examples
    --------
    >>> print(as_markdown("[a](b) :red[c]"))
    \\[a\\]\\(b\\) \\:red\\[c\\]
    """
    parted = _ADDRESS.sub(lambda found: found[0] + _JOINER, visible(text))
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in parted)


def visible(text: str) -> str:
    """The text with control and direction-changing characters replaced, so that it stays on its line and in its order.

    Examples
    --------
    >>> visible("a\\nb\\u202ec")
    'a�b�c'
    """
    return "".join(_BLANK if unicodedata.category(item) in {"Cc", "Cf", "Cs"} else item for item in text)
