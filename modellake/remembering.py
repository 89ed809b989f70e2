"""What inferences remember from one run to the next, in a file of the lake's directory.

The file is a convenience: without it, or with one that is damaged or of another method, everything is worked out anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.errors import ResourceError
from graph_schema.labels import Basis, Relation
from ingest.atomic_file import write_atomically
from lineage.conclusions import Abstention, Conclusions, ImpliedParent
from lineage.memory import METHOD, Memory

FORMAT = 1


def recall(path: Path) -> Memory:
    """What the file says; nothing if it is missing, damaged, or written by another version."""
    content = read_json(path)
    try:
        if content["format"] != FORMAT or content["method"] != METHOD:
            return Memory()
        return Memory(
            groups=tuple(tuple(str(version) for version in group) for group in content["groups"]),
            families={str(key): _conclusions(item) for key, item in content["families"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Memory()


def remember(path: Path, memory: Memory) -> None:
    """Write the file, whole or not at all; where that fails, the next run takes longer, and nothing else."""
    content = {
        "format": FORMAT,
        "method": METHOD,
        "groups": memory.groups,
        "families": {key: asdict(found) for key, found in sorted(memory.families.items())},
    }
    write_json(path, content)


def read_json(path: Path) -> Any:
    """What a file of JSON holds; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a file, whole or not at all; a failure leaves what was there."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    with suppress(ResourceError):
        write_atomically(path, text.encode(), what="what inferences remember")


def _conclusions(item: Mapping[str, Any]) -> Conclusions:
    return Conclusions(
        derivations=tuple(_derivation(part) for part in item["derivations"]),
        roots=tuple((str(root), float(probability)) for root, probability in item["roots"]),
        implied=tuple(ImpliedParent(id=part["id"], children=tuple(part["children"])) for part in item["implied"]),
        abstentions=tuple(abstention_of(part) for part in item["abstentions"]),
        doubts=dict(item["doubts"]),
    )


def abstention_of(part: Mapping[str, Any]) -> Abstention:
    """An abstention from its fields as JSON keeps them."""
    return Abstention(
        version=str(part["version"]),
        reason=str(part["reason"]),
        likeliest=None if part["likeliest"] is None else _derivation(part["likeliest"]),
    )


def _derivation(part: Mapping[str, Any]) -> Derivation:
    return Derivation(
        **{
            **part,
            "relation": Relation(part["relation"]),
            "basis": Basis(part["basis"]),
            "parents": tuple(Parent(**parent) for parent in part["parents"]),
            "observations": tuple(Observation(**observation) for observation in part["observations"]),
        }
    )
