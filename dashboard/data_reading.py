"""What the pages ask of a lake about its data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cypher.library import load_query
from dashboard.view_models.catalogue import DataLine, catalogue
from graph_schema.dataset_detail import DatasetDetail
from graph_schema.errors import UnknownNameError
from graph_schema.identity import GHOST_PREFIX
from graph_schema.labels import Basis
from modellake.lake import Lake

_MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """A data set that a version is said or found to be trained on.

    Attributes
    ----------
    dataset : str
        Its id; `name` is that of the state that the edge leads to.
    present : bool
        Whether its data is in the lake.
    bases : tuple of Basis
        Declared, inferred, or both.
    license : str, optional
        Of the data.
    """

    dataset: str
    name: str
    present: bool
    bases: tuple[Basis, ...]
    license: str | None

    @property
    def words(self) -> str:
        """Who says so, and whether the data is there."""
        return " and ".join(self.bases) + ("" if self.present else ", not in the lake")


def read_catalogue(lake: Lake) -> tuple[DataLine, ...]:
    """Every data set with what the list says of it."""
    return catalogue(
        lake.datasets(),
        _rows(lake, "dataset_states"),
        _rows(lake, "related_data"),
        _rows(lake, "training_licenses"),
    )


def read_dataset(lake: Lake, name: str) -> DatasetDetail:
    """One data set by what `Lake.dataset` takes, or by the id of any of its states.

    Raises
    ------
    UnknownNameError
        If nothing has that name.
    NameConflictError
        If several data sets have.
    """
    try:
        return lake.dataset(name)
    except UnknownNameError:
        owners = lake.query(load_query("datasets_of_state").text, {"state": name}).rows
        if not owners:
            raise
        return lake.dataset(owners[0][0])


def training_data(lake: Lake, version: str) -> tuple[TrainingData, ...]:
    """What a version is said or found to be trained on, each data set once, by id."""
    table = lake.query(load_query("datasets_of_version").text, {"version": version}, limit=_MOST_ROWS)
    found: dict[str, TrainingData] = {}
    for values in table.rows:
        row = dict(zip(table.columns, values, strict=True))
        for dataset in row["datasets"]:
            bases = (*(found[dataset].bases if dataset in found else ()), Basis(row["basis"]))
            found[dataset] = TrainingData(
                dataset=dataset,
                name=row["name"],
                present=not row["dataset_version"].startswith(GHOST_PREFIX),
                bases=tuple(dict.fromkeys(bases)),
                license=", ".join(row["licenses"]) or None,
            )
    return tuple(found[dataset] for dataset in sorted(found))


def _rows(lake: Lake, name: str) -> list[Mapping[str, Any]]:
    table = lake.query(load_query(name).text, {"limit": _MOST_ROWS}, limit=_MOST_ROWS)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]
