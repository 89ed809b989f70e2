"""The lake: every use case behind one class, which is also the public Python API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cypher.lineage_reading import find_versions, read_edit, read_lineage, read_versions, read_whole_lineage
from cypher.store import Backend, Store, Table
from graph_schema.errors import NameConflictError, UnknownNameError
from graph_schema.labels import Basis, Relation
from graph_schema.lineage_graph import EditDetail, LineageGraph, LineageNode
from lineage.reconciliation import Finding, reconcile
from modellake.settings import Settings

if TYPE_CHECKING:
    from graph_schema.dataset_detail import DatasetDetail, DatasetEntry
    from modellake.explanation import Explanation
    from modellake.inferring import InferSummary
    from modellake.ingestion import IngestProgress, IngestSummary
    from modellake.watching import Arrival

WHOLE = 100_000


class Lake:
    """A lake of models: its store, its fingerprints, and everything that can be asked of them.

    Parameters
    ----------
    directory : Path or str, optional
        Where the embedded store, the fingerprints and the journal lie; `MODELLAKE_DIRECTORY` or `.modellake` by
        default.
    store : str, optional
        URL of a Neo4j server; `MODELLAKE_STORE`, or the embedded store by default.

    Examples
    --------
    >>> with Lake("lake/.modellake") as lake:  # doctest: +SKIP
    ...     lake.ingest(["lake"])
    ...     lake.infer()
    ...     print(lake.export("org/model", "bibtex"))
    """

    def __init__(self, directory: Path | str | None = None, *, store: str | None = None) -> None:
        self.settings = Settings.of(directory, store)
        self._opened: Store | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; a closed lake opens it again when asked."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def backend(self) -> Backend:
        """Name and version of the database behind the store."""
        return self._store.backend

    @property
    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store.open(self.settings.store, directory=self.settings.database)
        return self._opened

    def ingest(
        self,
        paths: Sequence[Path | str],
        *,
        workers: int | None = None,
        isolated: bool = True,
        progress: IngestProgress | None = None,
    ) -> IngestSummary:
        """Read models into the store, see `modellake.ingestion.ingest`."""
        from ingest.isolation import WorkerPool
        from modellake.ingestion import ingest

        found = [Path(path) for path in paths]
        if not isolated:
            return ingest(self._store, self.settings, found, workers=workers, isolated=False, progress=progress)
        with WorkerPool(workers or 1, self.settings.limits) as pool:
            # Workers get ready while the store does.
            pool.start()
            return ingest(self._store, self.settings, found, workers=workers, pool=pool, progress=progress)

    def watch(
        self,
        paths: Sequence[Path | str],
        *,
        settle: float = 5.0,
        isolated: bool = True,
        stop: Event | None = None,
    ) -> Iterator[Arrival]:
        """Read models and data sets into the store as they arrive, see `modellake.watching.watch`."""
        from ingest.isolation import WorkerPool
        from modellake.watching import watch

        found = [Path(path) for path in paths]
        with WorkerPool(1, self.settings.limits) if isolated else nullcontext() as pool:
            yield from watch(self._store, self.settings, found, settle=settle, pool=pool, stop=stop)

    def infer(
        self,
        *,
        weights_only: bool = False,
        least_confidence: float | None = None,
        progress: Callable[[int, int], None] | None = None,
        weights_in: Sequence[Path] = (),
    ) -> InferSummary:
        """Infer the lineage of everything in the store, see `modellake.inferring.infer_lineage`."""
        from modellake.inferring import infer_lineage

        return infer_lineage(
            self._store,
            self.settings,
            weights_only=weights_only,
            least_confidence=least_confidence,
            progress=progress,
            weights_in=weights_in,
        )

    def find(self, text: str, *, limit: int = 20) -> tuple[LineageNode, ...]:
        """Versions by a part of their name, id or model, best match first."""
        return find_versions(self._store, text, limit)

    def resolve(self, name: str) -> LineageNode:
        """The one version that a name means: a version's id (or its beginning), a model's id, or its last part.

        Raises
        ------
        UnknownNameError
            If nothing has that name; the nearest names are given.
        NameConflictError
            If several versions have.
        """
        held_by_id = read_versions(self._store, [name])
        if held_by_id:
            return held_by_id[0]
        found = self.find(name, limit=50)
        exact = [node for node in found if node.name == name]
        held = [node for node in found if name in node.models]
        # The name of a hidden parent is a phrase that ends with one of its children's names.
        real = [node for node in found if not node.implied]
        last = [node for node in real if name in {model.rsplit("/", 1)[-1] for model in (node.name, *node.models)}]
        begun = [node for node in found if len(name) >= 6 and node.id.startswith(name)]
        for matches in (exact, held, last, begun):
            if len(matches) == 1:
                return matches[0]
            if matches:
                listed = ", ".join(f"{node.id[:12]} ({node.name})" for node in matches[:5])
                raise NameConflictError(
                    f"{len(matches)} versions are called {name!r}", remedy=f"give the id of one: {listed}"
                )
        near = ", ".join(node.name for node in found[:5])
        raise UnknownNameError(
            f"no model or version is called {name!r}",
            remedy=f"near it: {near}" if near else "modellake find looks for one",
        )

    def lineage(
        self,
        model: str,
        *,
        up: int = 1,
        down: int = 1,
        min_confidence: float = 0.0,
        relations: Collection[Relation] | None = None,
        basis: Basis | None = None,
    ) -> LineageGraph:
        """The versions around one, and the edges between them, see `cypher.lineage_reading.read_lineage`."""
        return read_lineage(
            self._store,
            self.resolve(model).id,
            up=up,
            down=down,
            min_confidence=min_confidence,
            relations=relations,
            basis=basis,
        )

    def whole_lineage(self, *, limit: int = WHOLE) -> LineageGraph:
        """Every version, up to `limit` of them by name, and the edges between those."""
        return read_whole_lineage(self._store, limit)

    def edit(self, edit_id: str) -> EditDetail:
        """What stands behind an edge, its evidence strongest first."""
        return read_edit(self._store, edit_id)

    def datasets(self) -> tuple[DatasetEntry, ...]:
        """Every data set, by id; those too that models only name."""
        from cypher.dataset_reading import list_datasets

        return list_datasets(self._store)

    def dataset(self, name: str) -> DatasetDetail:
        """One data set with its states, their relations and the models that are said to be trained on them.

        Parameters
        ----------
        name : str
            Its id, the last part of its id, its name, or the beginning of the id of its newest state.

        Raises
        ------
        UnknownNameError
            If nothing has that name.
        NameConflictError
            If several data sets have.
        """
        from cypher.dataset_reading import find_dataset, list_datasets, read_dataset_detail

        if find_dataset(self._store, name) is not None:
            return read_dataset_detail(self._store, name)
        entries = list_datasets(self._store)
        tests: tuple[Callable[[DatasetEntry], bool], ...] = (
            lambda entry: name in (entry.name, entry.id.rsplit("/", 1)[-1]),
            lambda entry: len(name) >= 6 and entry.version.startswith(name),
        )
        for test in tests:
            matches = [entry.id for entry in entries if test(entry)]
            if len(matches) == 1:
                return read_dataset_detail(self._store, matches[0])
            if matches:
                listed = ", ".join(matches[:5])
                raise NameConflictError(
                    f"{len(matches)} datasets are called {name!r}", remedy=f"give the id of one: {listed}"
                )
        raise UnknownNameError(f"no dataset is called {name!r}", remedy="modellake datasets lists them")

    def explain(self, model: str) -> Explanation:
        """Why a version has the inferred parents that it has, or none, see `modellake.explaining.explain`."""
        from modellake.explaining import explain

        return explain(self, model)

    def query(
        self,
        cypher: str,
        parameters: Mapping[str, object] | None = None,
        *,
        timeout_s: float = 30,
        limit: int = 1000,
    ) -> Table:
        """Run a read-only Cypher query, see `cypher.store.Store.cypher`."""
        return self._store.cypher(cypher, parameters, timeout_s=timeout_s, limit=limit)

    def statistics(self) -> list[dict[str, Any]]:
        """How many nodes of each label and edges of each type there are."""
        return self._store.query("statistics")

    def findings(self, model: str | None = None) -> tuple[Finding, ...]:
        """Claims held against the weights, for one model's version or for all."""
        if model is None:
            graph = self.whole_lineage()
            return reconcile(graph.edges, {node.id: node.name for node in graph.nodes})
        graph = self.lineage(model, up=1, down=0)
        edges = graph.parents(graph.focus)
        return reconcile(edges, {node.id: node.name for node in graph.nodes})

    def export(self, model: str, format: str, *, up: int = 10, down: int = 0) -> str:
        """Lineage of a model in another vocabulary, as text.

        Parameters
        ----------
        model : str
        format : str
            A key of `graph_schema.formats.FORMATS`.
        up, down : int
            How far to go; ancestors only by default, since those are what a citation owes.
        """
        from graph_schema.formats import render

        return render(self.lineage(model, up=up, down=down), format)
