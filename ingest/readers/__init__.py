"""Readers: one per file format, behind one registry, each offering its tensors as `ingest.tensors.TensorSource`."""

from ingest.readers.registry import FORMATS, Format, open_file, open_tensors, sniff, sniff_file

__all__ = ["FORMATS", "Format", "open_file", "open_tensors", "sniff", "sniff_file"]
