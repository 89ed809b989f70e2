"""The journal: what was read into which store, so that an unchanged model is not read again.

One JSON line a model, appended and synced after the model is in the store: a kill at any moment leaves at most a model
that is read once more. A torn last line is passed over.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from graph_schema.fingerprint import FINGERPRINT_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model that was read completely.

    Attributes
    ----------
    store : str
        Where it went.
    model : str
    signature : str
        Of its files at the time, `ingest.model_source.ModelSource.signature`.
    versions : tuple of str
    fingerprint : int
        Format of the fingerprints that were written.
    """

    store: str
    model: str
    signature: str
    versions: tuple[str, ...]
    fingerprint: int = FINGERPRINT_VERSION


def read_journal(path: Path, store: str) -> dict[str, Entry]:
    """The newest entry of every model in one store."""
    entries: dict[str, Entry] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return entries
    for line in lines:
        try:
            row = json.loads(line)
            entry = Entry(
                store=str(row["store"]),
                model=str(row["model"]),
                signature=str(row["signature"]),
                versions=tuple(str(item) for item in row["versions"]),
                fingerprint=int(row.get("fingerprint", 1)),
            )
        except (ValueError, TypeError, KeyError):
            continue
        if entry.store == store:
            entries[entry.model] = entry
    return entries


def append_entry(path: Path, entry: Entry) -> None:
    """Add one entry, on disk before this returns."""
    row = {
        "store": entry.store,
        "model": entry.model,
        "signature": entry.signature,
        "versions": list(entry.versions),
        "fingerprint": entry.fingerprint,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())
