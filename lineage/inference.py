"""The inference over a lake: from fingerprints to derivations with evidence and confidence, from weights alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graph_schema.derivation import Derivation
from graph_schema.errors import InputError
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import VersionKind
from lineage.adapted import adapter_conclusions
from lineage.behaviour.students import student_conclusions
from lineage.calibration import Calibration, default_calibration
from lineage.common_names import renamed_kin
from lineage.conclusions import Abstention, Conclusions, ImpliedParent
from lineage.family_conclusions import family_conclusions
from lineage.forking import each
from lineage.memory import Memory, family_key
from lineage.relatedness import families
from lineage.symmetry.turned_kin import turned_kin
from lineage.symmetry.weights import WeightSource
from lineage.threads import single_threaded

LEAST_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What the weights of a lake say.

    Attributes
    ----------
    families : tuple of tuple of str
        Ids of versions, one tuple a family, in order of their smallest ids; a version without kin is a family of one.
        Adapters are in none.
    derivations : tuple of Derivation
        Sorted by child.
    roots : dict of str to float
        The most probable root of each family of two or more, with its probability.
    abstentions : tuple of Abstention
        Sorted by version.
    implied : tuple of ImpliedParent
        Parents that must have been there and are not in the lake; derivations name them by their ids.
    """

    families: tuple[tuple[str, ...], ...]
    derivations: tuple[Derivation, ...]
    roots: dict[str, float]
    abstentions: tuple[Abstention, ...]
    implied: tuple[ImpliedParent, ...] = ()


def infer(
    fingerprints: Sequence[Fingerprint],
    *,
    calibration: Calibration | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
    memory: Memory | None = None,
    progress: Callable[[int, int], None] | None = None,
    weights: WeightSource | None = None,
) -> Inference:
    """Infer the lineage of a lake from its fingerprints.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Their ids are unique. The order does not matter.
    calibration : Calibration, optional
        The fitted numbers that ship with the project by default.
    least_confidence : float in [0, 1]
        Edges less sure than this become abstentions.
    memory : Memory, optional
        What is remembered of earlier inferences; what is new is added to it. The outcome is the same with any memory
        and with none, whatever the order in which versions arrived: only what was worked out before is not worked out
        again (kinship of pairs, conclusions about families whose members have not changed).
    progress : callable, optional
        Called with the number of families done and their total.
    weights : WeightSource, optional
        Where large tensors of versions that look laundered may be read again; fingerprints hold but samples of them.

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
    ordered = sorted((item for item in fingerprints if item.tensors), key=lambda item: item.version)
    for one, two in pairwise(ordered):
        if one.version == two.version:
            raise InputError("two fingerprints have one id", where=one.version, remedy="give each version once")
    members = [item for item in ordered if item.kind != VersionKind.ADAPTER]
    adapters = [item for item in ordered if item.kind == VersionKind.ADAPTER]
    fitted = calibration or default_calibration()
    remembered = memory or Memory()
    opened = weights is not None
    with single_threaded():
        groups = _joined(members, remembered.related(members)) if members else []
        kin = [[members[position] for position in group] for group in groups if len(group) > 1]
        keys = [family_key(family, fitted, opened=opened) for family in kin]
        new = [place for place, key in enumerate(keys) if key not in remembered.families]
        if progress is not None:
            progress(len(groups) - len(new), len(groups))
        # Weights are read through what this process holds open.
        work = each(
            lambda number: family_conclusions(kin[new[number]], fitted, weights=weights),
            [float(len(kin[place])) for place in new],
            forked=not opened,
        )
        for done, (place, conclusions) in enumerate(zip(new, work, strict=True), start=len(groups) - len(new)):
            remembered.families[keys[place]] = conclusions
            if progress is not None:
                progress(done + 1, len(groups))
        found = [remembered.families[key] for key in keys]
        everyone = [[members[place] for place in group] for group in groups]
        found += [
            adapter_conclusions(adapters, everyone, found, fitted),
            student_conclusions(everyone, found, weights=weights),
        ]
    remembered.forget(keys)
    sure, unsure = _split(found, least_confidence)
    named = {parent.id for item in sure for parent in item.parents}
    return Inference(
        families=tuple(tuple(members[position].version for position in group) for group in groups),
        derivations=tuple(sorted(sure, key=lambda item: (item.child, item.relation))),
        roots={root: probability for item in found for root, probability in item.roots},
        abstentions=tuple(sorted(unsure, key=lambda item: item.version)),
        implied=tuple(parent for item in found for parent in item.implied if parent.id in named),
    )


def _joined(members: Sequence[Fingerprint], groups: Sequence[list[int]]) -> list[list[int]]:
    """The families, those joined that only a rotation of the residual stream or the names of tensors keep apart."""
    heads = [group[0] for group in groups]
    kin = (turned_kin(members, groups) | renamed_kin(members, groups))[np.ix_(heads, heads)]
    joined = [sorted(member for place in places for member in groups[place]) for places in families(kin)]
    return sorted(joined)


def _split(found: Sequence[Conclusions], least: float) -> tuple[list[Derivation], list[Abstention]]:
    sure: list[Derivation] = []
    unsure: list[Abstention] = []
    for item in found:
        for derivation in item.derivations:
            if derivation.confidence >= least:
                sure.append(derivation)
            else:
                reason = item.doubts.get(derivation.child, "the evidence is weak")
                unsure.append(Abstention(version=derivation.child, reason=reason, likeliest=derivation))
        unsure += item.abstentions
    implied = {parent.id for item in found for parent in item.implied}
    kept = {parent.id for item in sure for parent in item.parents} & implied
    # What is above a hidden parent is of no interest where none of its children names it.
    sure = [item for item in sure if item.child not in implied or item.child in kept]
    return sure, [item for item in unsure if item.version not in implied]
