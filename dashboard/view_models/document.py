"""Panels as trees of blocks: the browser makes elements of them and sets their text, so that no text is ever markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Tag = Literal["div", "span", "h2", "h3", "p", "q", "code", "table", "tr", "td", "th", "ul", "li"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One element of a panel.

    Attributes
    ----------
    tag : str
        One of a few harmless elements.
    text : str
        Shown as it stands.
    look : str
        Class in `document.css`.
    children : tuple of Block
        After the text.
    colour : str
        Of the accent, where the look has one.
    start, share : float, optional
        Left edge and width of a bar, as shares of its track.
    tooltip : str
    """

    tag: Tag = "div"
    text: str = ""
    look: str = ""
    children: tuple[Block, ...] = ()
    colour: str = ""
    start: float = 0.0
    share: float | None = None
    tooltip: str = ""

    def as_json(self) -> dict[str, Any]:
        """The block for the browser; what is empty is left out."""
        given = {
            "tag": self.tag,
            "text": self.text,
            "look": self.look,
            "children": [child.as_json() for child in self.children],
            "colour": self.colour,
            "start": self.start,
            "share": self.share,
            "tooltip": self.tooltip,
        }
        return {name: value for name, value in given.items() if value not in ("", [], None)}


def words(block: Block) -> str:
    """Every text of a block and its children, in order, for reading aloud and for tests."""
    return " ".join(filter(None, (block.text, *(words(child) for child in block.children))))
