"""Where things are kept: read from the environment once, at the edge, and passed on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ingest.limits import ReadingLimits

DIRECTORY = ".modellake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Places of one lake.

    Attributes
    ----------
    directory : Path
        Holds the embedded store, the fingerprints and the journal of what was read.
    store : str or None
        URL of a Neo4j server; None for the embedded store.
    limits : ReadingLimits
        What reading one file may cost.
    """

    directory: Path
    store: str | None = None
    limits: ReadingLimits = field(default_factory=ReadingLimits)

    @classmethod
    def of(
        cls, directory: Path | str | None = None, store: str | None = None, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Settings as given, or as `MODELLAKE_DIRECTORY` and `MODELLAKE_STORE` say, or the defaults.

        Examples
        --------
        >>> Settings.of(environment={"MODELLAKE_STORE": "bolt://localhost"}).store
        'bolt://localhost'
        """
        found = os.environ if environment is None else environment
        return cls(
            directory=Path(directory or found.get("MODELLAKE_DIRECTORY") or DIRECTORY),
            store=store or found.get("MODELLAKE_STORE") or None,
        )

    @property
    def database(self) -> Path:
        """Directory of the embedded store."""
        return self.directory / "store"

    @property
    def store_key(self) -> str:
        """What tells this store from another in the journal: the URL without its credentials."""
        return "embedded" if self.store is None else self.store.rsplit("@", 1)[-1]

    @property
    def fingerprints(self) -> Path:
        """Directory of the fingerprints, one file a version."""
        return self.directory / "fingerprints"

    @property
    def sketches(self) -> Path:
        """Directory of the sketches of data sets, one file a version."""
        return self.directory / "sketches"

    def sketch(self, version: str) -> Path:
        """File of the sketch of a state of data."""
        return self.sketches / f"{version}.sketch"

    @property
    def journal(self) -> Path:
        """File that records what was read, so that it is not read again."""
        return self.directory / "journal.jsonl"

    @property
    def memory(self) -> Path:
        """File of what inferences remember."""
        return self.directory / "inference.json"

    @property
    def outcome(self) -> Path:
        """File of what the last inference left open."""
        return self.directory / "last_inference.json"

    def fingerprint(self, version: str) -> Path:
        """File of a version's fingerprint."""
        return self.fingerprints / f"{version}.fingerprint"
