"""Where models come from: fingerprints, lineage with evidence and confidence, and a provenance graph.

Examples
--------
The whole of it, on a directory of models:

>>> from modellake import Lake
>>> with Lake("lake/.modellake") as lake:  # doctest: +SKIP
...     lake.ingest(["lake"])
...     lake.infer()
...     lake.lineage("org/model", up=3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modellake.lake import Lake

__all__ = ["Lake"]


def __getattr__(name: str) -> object:
    # Importing the package must cost nothing: `modellake --help` answers before any array library is loaded.
    if name == "Lake":
        from modellake.lake import Lake

        return Lake
    raise AttributeError(f"module 'modellake' has no attribute {name!r}")
