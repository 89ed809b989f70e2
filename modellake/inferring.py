"""Infer: fingerprints of the versions in the store, to derivations written beside the claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cypher.store import Store
from graph_schema.errors import ModelLakeError, PathNotFoundError
from graph_schema.fingerprint import Fingerprint
from graph_schema.graph import Rows
from graph_schema.identity import IMPLIED_PREFIX, clean_name
from graph_schema.labels import VersionKind
from graph_schema.records import Version
from ingest.discovery import discover
from ingest.fingerprint.file import read_fingerprint
from ingest.model_source import ModelSource
from lineage.conclusions import ImpliedParent
from lineage.inference import LEAST_CONFIDENCE, Inference, infer
from modellake.comparability import nothing_to_compare
from modellake.dataset_resolution import resolve_dataset_ghosts
from modellake.ingestion import Problem
from modellake.last_inference import keep
from modellake.remembering import recall, remember
from modellake.resolution import resolve_ghosts
from modellake.settings import Settings
from modellake.stored_weights import StoredWeights

EVERY = 1_000_000
"""Versions or edges read at most; the embedded engine cannot sort under a larger limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferSummary:
    """What an inference did.

    Attributes
    ----------
    inference : Inference
    versions : int
        Number of versions compared.
    problems : tuple of Problem
        Versions left out, and why.
    incomparable : mapping of str to str
        Versions that took part but cannot have kin, see `modellake.comparability`, and why.
    """

    inference: Inference
    versions: int
    problems: tuple[Problem, ...]
    incomparable: Mapping[str, str] = field(default_factory=dict)


def infer_lineage(
    store: Store,
    settings: Settings,
    *,
    weights_only: bool = False,
    least_confidence: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    weights_in: Sequence[Path] = (),
) -> InferSummary:
    """Infer the lineage of all versions in the store, in place of what was inferred before.

    Parameters
    ----------
    store : Store
    settings : Settings
    weights_only : bool
        Leave the claims as they are: neither read them nor resolve the ghosts they name.
    least_confidence : float, optional
        Edges less sure than this become abstentions.
    progress : callable, optional
        Called with the number of families done and their total.
    weights_in : sequence of Path
        Lakes whose models may be read again, where a large model looks as if its units had been renumbered.

    Returns
    -------
    InferSummary
        Written in one transaction: the old inferences go as the new ones come.
    """
    if not weights_only:
        resolve_ghosts(store)
        resolve_dataset_ghosts(store)
    fingerprints, problems, names = _fingerprints(store, settings)
    least = LEAST_CONFIDENCE if least_confidence is None else least_confidence
    memory = recall(settings.memory)
    weights = StoredWeights.of(store, _models(weights_in)) if weights_in else None
    try:
        found = infer(fingerprints, least_confidence=least, memory=memory, progress=progress, weights=weights)
    finally:
        # Families that were done when it was interrupted are not worked out again.
        remember(settings.memory, memory)
    rows = Rows()
    for parent in found.implied:
        rows += Rows.of([_implied(parent, names)], [])
    for derivation in found.derivations:
        rows += derivation.rows()
    # What could not be compared this time keeps what was inferred before.
    compared = {item.version for item in fingerprints}
    edges = store.query("inferred_edges", limit=EVERY)
    stale = sorted(
        {str(row["edit"]) for row in edges if row["child"] in compared or str(row["child"]).startswith(IMPLIED_PREFIX)}
    )
    # What was left open is kept after the store has been written; until then nothing may speak of the earlier run.
    with suppress(OSError):
        settings.outcome.unlink(missing_ok=True)
    store.replace(stale, rows)
    reasons = {item.version: nothing_to_compare(item) for item in fingerprints}
    incomparable = {version: reason for version, reason in reasons.items() if reason is not None}
    keep(settings.outcome, settings.store_key, found, least, incomparable)
    return InferSummary(
        inference=found, versions=len(fingerprints), problems=tuple(problems), incomparable=incomparable
    )


def _implied(parent: ImpliedParent, names: Mapping[str, str]) -> Version:
    children = sorted(names.get(child, child[:12]) for child in parent.children)
    few = " and ".join(children[:2]) + (f" and {len(children) - 2} more" if len(children) > 2 else "")
    return Version(id=parent.id, name=clean_name(f"hidden parent of {few}"), kind=VersionKind.GHOST)


def _models(lakes: Sequence[Path]) -> Iterable[ModelSource]:
    return (source for source in discover(lakes) if isinstance(source, ModelSource))


def _fingerprints(store: Store, settings: Settings) -> tuple[list[Fingerprint], list[Problem], dict[str, str]]:
    found, problems, names = [], [], {}
    for row in store.query("all_versions", limit=EVERY):
        if row["kind"] == VersionKind.GHOST:
            continue
        name, path = str(row["name"]), settings.fingerprint(str(row["version"]))
        try:
            if not path.is_file():
                raise PathNotFoundError("no fingerprint file here", where=str(path), remedy="ingest the model again")
            found.append(read_fingerprint(path))
            names[str(row["version"])] = name
        except ModelLakeError as error:
            # A file that is called after an id tells nobody which model it is of.
            told = type(error)(error.what, where=f"{name}: {path}", remedy=error.remedy)
            problems.append(Problem(location=name, error=told))
    return found, problems, names
