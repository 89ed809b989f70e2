"""What the reader is looking at, as one value that a permalink can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from graph_schema.labels import LINEAGE, Basis, Relation

MOST_STEPS = 5
_MOST_EXPANDED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """One view of the lineage.

    Attributes
    ----------
    model : str
        Name or id that the graph is drawn around; empty on the landing page.
    up, down : int
        Steps that are drawn from there without a click.
    expanded : tuple of str
        Ids of versions whose own hop has been added, in the order of the clicks.
    opened : tuple of str
        Ids of groups of siblings that are drawn one by one.
    relations : tuple of Relation
        What is shown; empty for all.
    basis : Basis, optional
        None for both.
    min_confidence : float in [0, 1]
    selected : str
        `node:ID` or `edge:ID`; empty for the model itself.
    """

    model: str = ""
    up: int = 1
    down: int = 1
    expanded: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    basis: Basis | None = None
    min_confidence: float = 0.0
    selected: str = ""

    def toggled(self, version: str) -> Self:
        """Expand a version, or take its hop away again."""
        if version in self.expanded:
            return replace(self, expanded=tuple(item for item in self.expanded if item != version))
        return replace(self, expanded=(*self.expanded, version)[-_MOST_EXPANDED:])

    def regrouped(self, group: str) -> Self:
        """Draw a group's siblings one by one, or together again."""
        if group in self.opened:
            return replace(self, opened=tuple(item for item in self.opened if item != group))
        return replace(self, opened=(*self.opened, group))

    def query_parameters(self) -> dict[str, str | list[str]]:
        """The permalink's parameters; what is as usual is left out.

        Examples
        --------
        >>> Exploration(model="org/m", up=2).query_parameters()
        {'model': 'org/m', 'up': '2'}
        """
        given: dict[str, str | list[str]] = {
            "model": self.model,
            "up": "" if self.up == 1 else str(self.up),
            "down": "" if self.down == 1 else str(self.down),
            "open": list(self.expanded),
            "group": list(self.opened),
            "relation": [str(item) for item in self.relations],
            "basis": str(self.basis or ""),
            "confidence": f"{self.min_confidence:.2f}" if self.min_confidence else "",
            "at": self.selected,
        }
        return {name: value for name, value in given.items() if value} if self.model else {}

    @classmethod
    def from_query_parameters(cls, given: Mapping[str, Sequence[str]]) -> Self:
        """Read a permalink; what makes no sense there is as if it were not there.

        Examples
        --------
        >>> Exploration.from_query_parameters({"model": ["org/m"], "up": ["x"], "down": ["99"]}).down
        5
        """
        basis = _last(given, "basis")
        return cls(
            model=_last(given, "model"),
            up=_steps(_last(given, "up")),
            down=_steps(_last(given, "down")),
            expanded=tuple(dict.fromkeys(given.get("open", ())))[:_MOST_EXPANDED],
            opened=tuple(dict.fromkeys(given.get("group", ())))[:_MOST_EXPANDED],
            relations=tuple(item for item in LINEAGE if item in given.get("relation", ())),
            basis=Basis(basis) if basis in tuple(Basis) else None,
            min_confidence=_share(_last(given, "confidence")),
            selected=_last(given, "at"),
        )


def _last(given: Mapping[str, Sequence[str]], name: str) -> str:
    values = given.get(name, ())
    return values[-1] if values else ""


def _steps(text: str) -> int:
    return min(int(text), MOST_STEPS) if text.isascii() and text.isdigit() else 1


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
