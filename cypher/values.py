"""What a query returned, as values that JSON can hold."""

from __future__ import annotations

import math
from typing import Any


def plain(value: object) -> Any:
    """Turn a driver's value into None, bool, int, float, str, or lists and dicts of them.

    A node becomes `{"labels", "properties"}`, a relationship `{"type", "start", "end", "properties"}` (the `id`
    properties of its ends, None where the query did not fetch them), a path `{"nodes", "relationships"}`. Times are ISO
    8601 strings, points dicts, bytes hexadecimal; floats that are not finite are the strings `NaN`, `Infinity` and
    `-Infinity`.

    Examples
    --------
    >>> plain({"a": (1, float("nan"))})
    {'a': [1, 'NaN']}
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return _graph_value(value)


def _graph_value(value: object) -> Any:
    from neo4j.graph import Node, Path, Relationship
    from neo4j.spatial import Point

    if isinstance(value, Node):
        return {"labels": sorted(value.labels), "properties": plain(dict(value))}
    if isinstance(value, Relationship):
        return {
            "type": value.type,
            "start": plain(value.start_node.get("id")) if value.start_node is not None else None,
            "end": plain(value.end_node.get("id")) if value.end_node is not None else None,
            "properties": plain(dict(value)),
        }
    if isinstance(value, Path):
        return {
            "nodes": [plain(node) for node in value.nodes],
            "relationships": [plain(edge) for edge in value.relationships],
        }
    if isinstance(value, Point):
        return {"srid": value.srid, "coordinates": list(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    iso = getattr(value, "iso_format", None) or getattr(value, "isoformat", None)
    return iso() if callable(iso) else str(value)
