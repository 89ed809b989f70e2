"""The inference over a lake: from fingerprints to derivations with evidence and confidence, from weights alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graph_schema.derivation import Derivation
from graph_schema.errors import InputError
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import VersionKind
from lineage.calibration import Calibration, default_calibration
from lineage.derivations import derivation
from lineage.family import family_tree
from lineage.relatedness import families, kinship

LEAST_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """A version whose parent, if it has one, could not be told.

    Attributes
    ----------
    version : str
    reason : str
        One sentence.
    likeliest : Derivation, optional
        What would have been said at a higher risk.
    """

    version: str
    reason: str
    likeliest: Derivation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What the weights of a lake say.

    Attributes
    ----------
    families : tuple of tuple of str
        Ids of versions, one tuple a family, in order of their smallest ids; a version without kin is a family of one.
    derivations : tuple of Derivation
        Sorted by child.
    roots : dict of str to float
        The most probable root of each family of two or more, with its probability.
    abstentions : tuple of Abstention
    """

    families: tuple[tuple[str, ...], ...]
    derivations: tuple[Derivation, ...]
    roots: dict[str, float]
    abstentions: tuple[Abstention, ...]


def infer(
    fingerprints: Sequence[Fingerprint],
    *,
    calibration: Calibration | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
    progress: Callable[[int, int], None] | None = None,
) -> Inference:
    """Infer the lineage of a lake from its fingerprints.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Of full versions; their ids are unique. The order does not matter. Adapters are left out here: they hold no
        weights of their own to compare.
    calibration : Calibration, optional
        The fitted numbers that ship with the project by default.
    least_confidence : float in [0, 1]
        Edges less sure than this become abstentions.
    progress : callable, optional
        Called with the number of families done and their total.

    Raises
    ------
    InputError
        If two fingerprints have the same id, or `least_confidence` lies outside [0, 1].

    Examples
    --------
    >>> infer([]).derivations
    ()
    """
    if not 0 <= least_confidence <= 1:
        raise InputError(f"the least confidence must lie in [0, 1], got {least_confidence}")
    members = sorted(
        (item for item in fingerprints if item.kind != VersionKind.ADAPTER and item.tensors),
        key=lambda item: item.version,
    )
    for one, two in pairwise(members):
        if one.version == two.version:
            raise InputError("two fingerprints have one id", where=one.version, remedy="give each version once")
    fitted = calibration or default_calibration()
    groups = families(kinship(members).related()) if members else []
    derivations: list[Derivation] = []
    abstentions: list[Abstention] = []
    roots: dict[str, float] = {}
    for done, group in enumerate(groups):
        if progress is not None:
            progress(done, len(groups))
        if len(group) < 2:
            continue
        family = [members[position] for position in group]
        tree = family_tree(family, fitted)
        roots[family[tree.root].version] = tree.root_probability
        for edge in tree.edges:
            found = derivation(family, edge)
            if found.confidence >= least_confidence:
                derivations.append(found)
            else:
                abstentions.append(_abstention(found, edge.neighbours, edge.forward))
    if progress is not None:
        progress(len(groups), len(groups))
    return Inference(
        families=tuple(tuple(members[position].version for position in group) for group in groups),
        derivations=tuple(sorted(derivations, key=lambda item: item.child)),
        roots=roots,
        abstentions=tuple(sorted(abstentions, key=lambda item: item.version)),
    )


def _abstention(found: Derivation, neighbours: float, forward: float) -> Abstention:
    if neighbours >= forward:
        reason = f"related to its neighbour for sure, but which of the two came first is open ({forward:.0%})"
    else:
        reason = f"several relatives lie about as near; the likeliest parent has {neighbours:.0%}"
    return Abstention(version=found.child, reason=reason, likeliest=found)
