"""The truth about a lake: what was made from what, and how. Written beside the lake, never inside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from graph_schema.labels import Relation

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueEdge:
    """One edge from child to parent.

    Attributes
    ----------
    child, parent : str
        Names of models; the parent may be absent from the lake.
    relation : Relation
        A shortcut of `graph_schema.labels.LINEAGE`.
    weight : float, optional
        Coefficient of a merge.
    details : mapping
        Method, grid, sparsity, rank, training settings: JSON values.
    """

    child: str
    parent: str
    relation: Relation
    weight: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueModel:
    """One model.

    Attributes
    ----------
    name : str
    family : str
        Name of the root that it descends from.
    kind : str
        `full` or `adapter`.
    present : bool
        False for one that was made and then removed from the lake: a ghost.
    created_at : str
        When it would have been uploaded: parents before children, ISO 8601.
    loss : float, optional
        Mean training loss over the last steps, in nats.
    details : mapping
    """

    name: str
    family: str
    kind: str = "full"
    present: bool = True
    created_at: str = ""
    loss: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The models that descend from one root.

    Attributes
    ----------
    root : str
    initialisation : int
        Seed of the random weights it was trained from; two families that share it come from one initialisation by
        independent training runs: neither descends from the other, though they are no strangers either.
    members : tuple of str
    """

    root: str
    initialisation: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Everything known about a lake.

    `duplicates` are groups of names with the same weights, the original first: copies, also in another file format.
    They have no edges; either name stands for both.
    """

    architecture: str
    seed: int
    models: tuple[TrueModel, ...]
    edges: tuple[TrueEdge, ...]
    families: tuple[Family, ...]
    duplicates: tuple[tuple[str, ...], ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def first_names(self) -> dict[str, str]:
        """For every model the name that stands for it: its own, or of duplicates the first."""
        return {model.name: model.name for model in self.models} | {
            name: group[0] for group in self.duplicates for name in group
        }

    def write(self, path: Path) -> None:
        """Write as JSON, sorted and indented."""
        path.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what `write` wrote."""
        data = json.loads(path.read_text())
        if data.pop("version") != VERSION:
            raise ValueError(f"{path}: a truth of another version; build the lake again")
        return cls(
            architecture=data["architecture"],
            seed=data["seed"],
            settings=data["settings"],
            models=tuple(TrueModel(**model) for model in data["models"]),
            edges=tuple(TrueEdge(**{**edge, "relation": Relation(edge["relation"])}) for edge in data["edges"]),
            families=tuple(Family(**{**family, "members": tuple(family["members"])}) for family in data["families"]),
            duplicates=tuple(tuple(group) for group in data["duplicates"]),
        )


def with_duplicates(truth: Truth, groups: Iterable[Iterable[str]]) -> Truth:
    """The truth with the models of each group for duplicates of each other: one name stands for all of them.

    Parameters
    ----------
    truth : Truth
    groups : iterable of iterable of str
        Groups that share a name are one; so are those that share one with the duplicates there are.
    """
    joined = [set(group) for group in truth.duplicates]
    for names in map(set, groups):
        for group in [group for group in joined if group & names]:
            joined.remove(group)
            names |= group
        joined.append(names)
    present = {model.name for model in truth.models if model.present}
    ranked = [tuple(sorted(group, key=lambda item: (item not in present, item))) for group in joined if len(group) > 1]
    first = {name: group[0] for group in ranked for name in group}
    edges: dict[tuple[str, str], TrueEdge] = {}
    for edge in truth.edges:
        child, parent = first.get(edge.child, edge.child), first.get(edge.parent, edge.parent)
        if child != parent:
            edges.setdefault((child, parent), replace(edge, child=child, parent=parent))
    return replace(truth, edges=tuple(edges.values()), duplicates=tuple(ranked))


def truth_path(lake: Path) -> Path:
    """Where the truth about the lake in `lake` stands: `LAKE.truth.json` beside it."""
    return lake.with_name(lake.name + ".truth.json")
