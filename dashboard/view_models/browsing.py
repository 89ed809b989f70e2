"""Which data sets the reader looks at, as one value that a permalink can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Kept(StrEnum):
    """Which data sets are listed."""

    PRESENT = "in the lake"
    NAMED = "only named"
    RELATED = "related to others"
    LICENSE = "licence to look at"
    SHARED = "rows in two splits"


class Order(StrEnum):
    """In which order they are listed."""

    NAME = "name"
    MODELS = "models"
    ROWS = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsing:
    """One view of the data sets.

    Attributes
    ----------
    dataset : str
        Id of the one that is shown; empty for the list.
    text : str
        What the list is narrowed to.
    kept : Kept, optional
        None for all.
    order : Order
    page : int
        Of the list, or of what is long on the page of one data set.
    evidence : str
        Id of the Edit whose evidence is shown.
    """

    dataset: str = ""
    text: str = ""
    kept: Kept | None = None
    order: Order = Order.NAME
    page: int = 1
    evidence: str = ""

    def query_parameters(self) -> dict[str, str]:
        """The permalink's parameters; what is as usual is left out.

        Examples
        --------
        >>> Browsing(text="mail", page=2).query_parameters()
        {'find': 'mail', 'page': '2'}
        """
        given = {
            "dataset": self.dataset,
            "find": self.text,
            "kept": self.kept.name.lower() if self.kept else "",
            "order": "" if self.order is Order.NAME else self.order.name.lower(),
            "page": "" if self.page == 1 else str(self.page),
            "evidence": self.evidence,
        }
        return {name: value for name, value in given.items() if value}

    @classmethod
    def from_query_parameters(cls, given: Mapping[str, Sequence[str]]) -> Self:
        """Read a permalink; what makes no sense there is as if it were not there.

        Examples
        --------
        >>> Browsing.from_query_parameters({"find": ["mail"], "page": ["x"], "kept": ["no"]}) == Browsing(text="mail")
        True
        """
        last = {name: values[-1] for name, values in given.items() if values}
        page = last.get("page", "")
        return cls(
            dataset=last.get("dataset", ""),
            text=last.get("find", ""),
            kept=next((item for item in Kept if item.name.lower() == last.get("kept")), None),
            order=next((item for item in Order if item.name.lower() == last.get("order")), Order.NAME),
            page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
            evidence=last.get("evidence", ""),
        )
