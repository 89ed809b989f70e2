"""Reading whatever a folder holds, as an ingest would: what attacks on whole lakes end in."""

from __future__ import annotations

from pathlib import Path

from graph_schema.errors import ModelLakeError
from ingest.claims import read_documents
from ingest.discovery import discover
from ingest.model_source import ModelSource
from ingest.readers import open_tensors
from ingest.tensors import TensorSource

READ_LIMIT = 1 << 20


def read_tensors(source: TensorSource) -> None:
    """Read every tensor that is not too large to be read in a test."""
    for info in source.tensors:
        if info.nbytes <= READ_LIMIT:
            source.read(info, 0, info.size)


def read_lake(folder: Path, *, documents: bool) -> None:
    """Read every model that can be opened, with or without the documents beside it."""
    for source in discover([folder]):
        if not isinstance(source, ModelSource):
            continue
        if documents:
            read_documents(source)
        for weights in source.weights:
            try:
                opened = open_tensors(weights.files)
            except ModelLakeError:
                continue
            with opened:
                read_tensors(opened)
