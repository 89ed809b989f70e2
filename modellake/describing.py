"""Models known by what a hub says about them: dumps of metadata into models, ghosts and declared derivations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cypher.store import Store, Written
from graph_schema.graph import Edge, Rows
from graph_schema.identity import digest
from graph_schema.labels import Label, Relation, VersionKind
from graph_schema.records import Claim, Model, Version
from ingest.hub_metadata import HubMetadata, dump_files, is_hub_metadata
from modellake.dataset_resolution import dataset_resolver
from modellake.declarations import declared_rows

BATCH = 200
"""Models a transaction: some 2,500 rows; the embedded engine takes longer for the same rows in much larger ones."""

MOST = 100_000_000


def split_dumps(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Which files are dumps of metadata, and which paths are to be searched for models.

    A directory is searched for both; of its files, those that lie at its top are looked at.
    """
    dumps: list[Path] = []
    lakes: list[Path] = []
    for path in paths:
        if path.is_dir():
            dumps += [item for item in dump_files([path]) if is_hub_metadata(item)]
            lakes.append(path)
        elif path.is_file() and is_hub_metadata(path):
            dumps.append(path.resolve())
        else:
            lakes.append(path)
    return dumps, lakes


def dumps_signature(dumps: Sequence[Path]) -> str:
    """Changes when one of the files does."""
    stamps = ((path, path.stat()) for path in dumps)
    return digest(*(f"{path}:{status.st_size}:{status.st_mtime_ns}" for path, status in stamps))


def write_metadata(store: Store, found: HubMetadata, *, written: Callable[[int], None] | None = None) -> int:
    """Write models that are known by their metadata alone, and what it declares about them.

    Parameters
    ----------
    store : Store
    found : HubMetadata
    written : callable, optional
        Called with the number of models after each batch.

    Returns
    -------
    int
        Number of models written. A model whose weights are in the store keeps its record, and the declarations are
        about its full version; any other gets a ghost to speak about.
    """
    present: dict[str, list[str]] = defaultdict(list)
    for row in store.query("all_versions", limit=MOST):
        if row["kind"] in (VersionKind.FULL, VersionKind.ADAPTER):
            for model in row["models"]:
                present[str(model)].append(str(row["version"]))
    claims: dict[str, list[Claim]] = defaultdict(list)
    for claim in found.claims:
        claims[claim.subject].append(claim)

    def resolve(name: str) -> str | None:
        return present[name][0] if name in present else None

    resolve_dataset = dataset_resolver(store)
    pairs = list(zip(found.models, found.versions, strict=True))
    under_way: tuple[Future[Written], int] | None = None

    def finish() -> None:
        if under_way is not None:
            future, count = under_way
            future.result()
            if written is not None:
                written(count)

    # The rows of one batch are put together while the one before it is written.
    with ThreadPoolExecutor(1, thread_name_prefix="write") as writer:
        for start in range(0, len(pairs), BATCH):
            batch = pairs[start : start + BATCH]
            rows = _batch_rows(batch, claims, resolve, resolve_dataset)
            finish()
            under_way = writer.submit(store.write, rows), len(batch)
        finish()
    return len(pairs)


def _batch_rows(
    pairs: Sequence[tuple[Model, Version]],
    claims: Mapping[str, Sequence[Claim]],
    resolve: Callable[[str], str | None],
    resolve_dataset: Callable[[str], str | None],
) -> Rows:
    parts: list[Rows] = []
    for model, ghost in pairs:
        subject = ghost
        arrived = resolve(model.id)
        if arrived is None:
            edge = Edge(
                relation=Relation.HAS_VERSION,
                source=(Label.MODEL, model.id),
                target=(Label.VERSION, ghost.id),
                properties={},
            )
            parts.append(Rows.of([model, ghost], [edge]))
        else:
            subject = Version(id=arrived, name=model.id)
        parts.append(declared_rows(model, [subject], claims.get(model.id, ()), resolve, resolve_dataset))
    return Rows(
        nodes=tuple(node for part in parts for node in part.nodes),
        edges=tuple(edge for part in parts for edge in part.edges),
    )
