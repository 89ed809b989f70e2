"""Long lists, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some neighbouring items of a list.

    Attributes
    ----------
    items : tuple
    number, pages : int
        Which page of how many, from 1; an empty list has one page.
    first, total : int
        Place of the first item in the list, from 1, and the list's length.
    """

    items: tuple[Item, ...]
    number: int
    pages: int
    first: int
    total: int

    @property
    def line(self) -> str:
        """Which items of how many are shown; empty where all are.

        Examples
        --------
        >>> page_of(range(60), 2, 25).line, page_of(range(3), 1, 25).line
        ('26 to 50 of 60', '')
        """
        if self.pages == 1:
            return ""
        return f"{self.first:,} to {self.first + len(self.items) - 1:,} of {self.total:,}"


def page_of(items: Sequence[Item], number: int, size: int) -> Page[Item]:
    """One page of a list; a number beyond either end means the page at that end."""
    pages = max(1, -(-len(items) // size))
    number = min(max(1, number), pages)
    begin = (number - 1) * size
    return Page(items=tuple(items[begin : begin + size]), number=number, pages=pages, first=begin + 1, total=len(items))
