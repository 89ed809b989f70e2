"""What the last inference left open, in a file of the lake's directory: what the graph has no edge for.

The graph holds the parents that were found, with their evidence. That a version is its family's most probable root, has
no kin, or was abstained from is no edge; it is written here for whoever asks why nothing was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lineage.conclusions import Abstention
from lineage.inference import Inference
from modellake.remembering import abstention_of, read_json, write_json

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LastInference:
    """The outcome of the last inference, less the derivations.

    Attributes
    ----------
    least_confidence : float in [0, 1]
        Edges less sure than this became abstentions.
    families : tuple of tuple of str
        As of `lineage.inference.Inference`.
    roots : mapping of str to float
        The most probable root of each family of two or more, with its probability.
    abstentions : tuple of Abstention
    incomparable : mapping of str to str
        Why nothing in a version can be compared.
    """

    least_confidence: float
    families: tuple[tuple[str, ...], ...] = ()
    roots: Mapping[str, float] = field(default_factory=dict)
    abstentions: tuple[Abstention, ...] = ()
    incomparable: Mapping[str, str] = field(default_factory=dict)

    def family(self, version: str) -> tuple[str, ...]:
        """The family of a version; empty where it was not compared, or is an adapter."""
        return next((members for members in self.families if version in members), ())

    def abstention(self, version: str) -> Abstention | None:
        """Why the parent of a version could not be told; None where that was not so."""
        return next((item for item in self.abstentions if item.version == version), None)


def keep(
    path: Path, store: str, inference: Inference, least_confidence: float, incomparable: Mapping[str, str]
) -> None:
    """Write the file, whole or not at all; where that fails, there is less to explain, and nothing else is lost.

    Parameters
    ----------
    path : Path
    store : str
        Which store the derivations went to: a directory may serve several.
    inference : Inference
    least_confidence : float in [0, 1]
    incomparable : mapping of str to str
        Versions that cannot have kin, and why.
    """
    content = {
        "format": FORMAT,
        "store": store,
        "least_confidence": least_confidence,
        "families": inference.families,
        "roots": inference.roots,
        "abstentions": [asdict(item) for item in inference.abstentions],
        "incomparable": dict(incomparable),
    }
    write_json(path, content)


def last_inference(path: Path, store: str) -> LastInference | None:
    """What the file says; None if it is missing, damaged, of another format, or about another store."""
    content = read_json(path)
    try:
        if content["format"] != FORMAT or content["store"] != store:
            return None
        return LastInference(
            least_confidence=float(content["least_confidence"]),
            families=tuple(_texts(content["families"])),
            roots={str(root): float(probability) for root, probability in content["roots"].items()},
            abstentions=tuple(abstention_of(item) for item in content["abstentions"]),
            incomparable={str(version): str(reason) for version, reason in content["incomparable"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _texts(groups: Any) -> Iterator[tuple[str, ...]]:
    for group in groups:
        yield tuple(str(version) for version in group)
