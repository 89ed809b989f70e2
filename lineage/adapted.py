"""Adapters that stand alone: the family each fits, and the member it was most probably trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Basis, Relation
from lineage.adapter_bases import STEPS, BaseCandidates, base_candidates, tried
from lineage.adapters import LEAST_FIT, AdapterFit, adapter_fit, is_merged
from lineage.calibration import Calibration
from lineage.conclusions import Abstention, Conclusions
from lineage.derivations import METHOD, MOST_CERTAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A model that an adapter is held against, and how well it fits."""

    group: int
    version: str
    fit: AdapterFit


def adapter_conclusions(
    adapters: Sequence[Fingerprint],
    groups: Sequence[Sequence[Fingerprint]],
    found: Sequence[Conclusions],
    calibration: Calibration,
) -> Conclusions:
    """The bases of adapters.

    Parameters
    ----------
    adapters : sequence of Fingerprint
    groups : sequence of sequence of Fingerprint
        The families, those of one included.
    found : sequence of Conclusions
        About the families: roots, and edges by low rank, one of which may be the adapter merged.
    calibration : Calibration

    Notes
    -----
    An adapter is held against some members of each family, so that time grows with the number of families.
    """
    by_id = {item.version: item for group in groups for item in group}
    edges = [
        (item.parents[0].id, item.child, item.relation)
        for conclusions in found
        for item in conclusions.derivations
        if item.child in by_id
    ]
    steps = [(parent, child) for parent, child, relation in edges if relation in STEPS and parent in by_id]
    held = [tried(group, edges) for group in groups]
    derivations: list[Derivation] = []
    abstentions: list[Abstention] = []
    for adapter in adapters:
        merged = _merged(adapter, steps, by_id)
        if merged is not None:
            derivations.append(_from_merged(adapter, *merged))
            continue
        fits = [
            _Candidate(group=number, version=member.version, fit=fit)
            for number, members in enumerate(held)
            for member in members
            if (fit := adapter_fit(adapter, member)).modules
        ]
        best = max((item.fit.z for item in fits), default=0.0)
        if best < LEAST_FIT:
            reason = "it fits no model of the lake" if fits else "no model of the lake has the matrices it changes"
            abstentions.append(Abstention(version=adapter.version, reason=reason))
            continue
        nearest = min((item for item in fits if item.fit.z == best), key=lambda item: item.version)
        group = groups[nearest.group]
        derivations.append(_from_family(adapter, nearest, base_candidates(adapter, group, edges), calibration))
    doubt = "the adapter fits a family of the lake, but which member of it was its base is not sure"
    return Conclusions(
        derivations=tuple(derivations),
        abstentions=tuple(abstentions),
        doubts={item.child: doubt for item in derivations},
    )


def _merged(
    adapter: Fingerprint, steps: Sequence[tuple[str, str]], by_id: dict[str, Fingerprint]
) -> tuple[str, str] | None:
    for one, two in steps:
        for base, merged in ((one, two), (two, one)):
            if is_merged(adapter, by_id[base], by_id[merged]):
                return base, merged
    return None


def _from_merged(adapter: Fingerprint, base: str, merged: str) -> Derivation:
    return Derivation(
        child=adapter.version,
        parents=(Parent(id=base),),
        relation=Relation.ADAPTED_FROM,
        basis=Basis.INFERRED,
        confidence=MOST_CERTAIN,
        method=f"{METHOD} merged adapter",
        summary="added to this version it gives another of the lake",
        observations=(
            Observation(
                kind="merged_adapter",
                statement=f"its product is the change from this version to {merged[:12]}, matrix by matrix",
                log_odds=20.0,
                method="adapters.is_merged",
            ),
        ),
    )


def _from_family(
    adapter: Fingerprint, nearest: _Candidate, candidates: BaseCandidates, calibration: Calibration
) -> Derivation:
    fit, count = nearest.fit, len(candidates.versions)
    probabilities, parts = candidates.probabilities(calibration), candidates.log_odds(calibration)
    best, second = (int(place) for place in [*np.argsort(-np.round(probabilities, 12), kind="stable"), 0][:2])
    over = parts[best] - parts[second]
    observations = [
        Observation(
            kind="adapter_fit",
            statement=f"what it learned lies where the weights of {fit.modules} matrices lie, {fit.z:.1f} standard "
            "deviations above what an adapter of a stranger reaches",
            value=fit.z,
            log_odds=float(min(fit.z**2 / 2, 20.0)),
            method="adapters.adapter_fit",
        )
    ]
    if count > 1:
        taken, paths = float(candidates.taken_back[best]), float(candidates.paths[best])
        root = "comes from no other member" if candidates.roots[best] else "comes from another member"
        observations += [
            Observation(
                kind="taken_back",
                statement="of what training had added on the way to this version it takes back a cosine of "
                f"{taken:.3f}",
                value=taken,
                log_odds=float(over[1]),
                method="adapters.repeated",
            ),
            Observation(
                kind="gradient_paths",
                statement="how far its gradients came back through what sets the matrices of this version apart: "
                f"{paths:.1f}, for the next member {float(candidates.paths[second]):.1f}",
                value=paths,
                log_odds=float(over[2]),
                method="gradient_paths.gradient_paths",
            ),
            Observation(
                kind="common_start",
                statement=f"this version {root} of the family; adapters are mostly trained on what everyone "
                "starts from",
                value=float(candidates.roots[best]),
                log_odds=float(over[0]),
                method="adapter_bases.base_candidates",
            ),
        ]
    return Derivation(
        child=adapter.version,
        parents=(Parent(id=candidates.versions[best]),),
        relation=Relation.ADAPTED_FROM,
        basis=Basis.INFERRED,
        confidence=min(float(probabilities[best]), MOST_CERTAIN),
        method=f"{METHOD} adapter fit",
        summary=f"fits the family of this version ({count} members it can be held against)",
        observations=tuple(observations),
        runner_up=candidates.versions[second] if count > 1 else None,
    )
