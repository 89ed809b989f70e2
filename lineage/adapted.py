"""Adapters that stand alone: the family each fits, and the member it was most probably trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Basis, Relation
from lineage.adapters import LEAST_FIT, AdapterFit, adapter_fit, is_merged, repeated
from lineage.conclusions import Abstention, Conclusions
from lineage.derivations import METHOD, MOST_CERTAIN
from lineage.spanning_tree import depths_of

BASE_FOUND = 0.4
"""How sure it is that an adapter was trained on the member named, its family being known: members fit about alike."""

TRIED = 12
"""Members of a family that an adapter is held against: its root, and those with most children."""

TAKEN_BACK = -0.05
"""Cosine (`lineage.adapters.repeated`) from which on an adapter takes back what a step of training had brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A model that an adapter is held against, and how well it fits."""

    group: int
    version: str
    fit: AdapterFit


def adapter_conclusions(
    adapters: Sequence[Fingerprint], groups: Sequence[Sequence[Fingerprint]], found: Sequence[Conclusions]
) -> Conclusions:
    """The bases of adapters.

    Parameters
    ----------
    adapters : sequence of Fingerprint
    groups : sequence of sequence of Fingerprint
        The families, those of one included.
    found : sequence of Conclusions
        About the families: roots, and edges by low rank, one of which may be the adapter merged.

    Notes
    -----
    An adapter is held against a dozen members of each family, so that time grows with the number of families.
    """
    by_id = {item.version: item for group in groups for item in group}
    edges = [
        (item.parents[0].id, item.child, item.relation)
        for conclusions in found
        for item in conclusions.derivations
        if item.child in by_id
    ]
    parents = {child: parent for parent, child, _ in edges}
    steps = [
        (parent, child)
        for parent, child, relation in edges
        if relation in (Relation.FINE_TUNED_FROM, Relation.EDITED_FROM) and parent in by_id
    ]
    tried = [_tried(group, parents) for group in groups]
    below: dict[str, list[str]] = {}
    for parent, child in steps:
        below.setdefault(parent, []).append(child)
    derivations: list[Derivation] = []
    abstentions: list[Abstention] = []
    for adapter in adapters:
        merged = _merged(adapter, steps, by_id)
        if merged is not None:
            derivations.append(_from_merged(adapter, *merged))
            continue
        fits = [
            _Candidate(group=number, version=version, fit=fit)
            for number, members in enumerate(tried)
            for version in members
            if (fit := adapter_fit(adapter, by_id[version])).modules
        ]
        best = max((item.fit.z for item in fits), default=0.0)
        if best < LEAST_FIT:
            reason = "it fits no model of the lake" if fits else "no model of the lake has the matrices it changes"
            abstentions.append(Abstention(version=adapter.version, reason=reason))
            continue
        nearest = min((item for item in fits if item.fit.z == best), key=lambda item: item.version)
        way = _way_down(adapter, tried[nearest.group][0], below, by_id)
        derivations.append(_from_family(adapter, nearest, way, len(groups[nearest.group])))
    doubt = "the adapter fits a family of the lake, but its members fit about alike"
    return Conclusions(
        derivations=tuple(derivations),
        abstentions=tuple(abstentions),
        doubts={item.child: doubt for item in derivations},
    )


def _tried(group: Sequence[Fingerprint], parents: Mapping[str, str]) -> list[str]:
    """The members that adapters are held against, the root first."""
    inside = {item.version for item in group}
    children = Counter(parents[version] for version in inside if version in parents)
    depths = depths_of({version: parents[version] for version in inside if parents.get(version) in inside})
    members = [(depths.get(version, 0), version) for version in inside]
    members.sort(key=lambda item: (item[0] > 0, -children[item[1]], item))
    return [version for _, version in members[:TRIED]]


def _way_down(
    adapter: Fingerprint, root: str, below: Mapping[str, Sequence[str]], by_id: Mapping[str, Fingerprint]
) -> list[str]:
    """From the root of a family along the steps of training that an adapter takes back, to its likeliest base.

    Adapters are mostly trained on what everyone starts from: that it is another member needs evidence.
    """
    way = [root]
    while True:
        steps = sorted(below.get(way[-1], ()), key=lambda child: (-len(below.get(child, ())), child))[:TRIED]
        cosines = [(repeated(adapter, by_id[way[-1]], by_id[child]), child) for child in steps if child not in way]
        least = min(cosines, default=(0.0, ""))
        if least[0] > TAKEN_BACK:
            return way
        way.append(least[1])


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


def _from_family(adapter: Fingerprint, nearest: _Candidate, way: Sequence[str], members: int) -> Derivation:
    fit = nearest.fit
    others = (nearest.version, *reversed(way[:-1]))
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
    if len(way) > 1:
        observations.append(
            Observation(
                kind="taken_back",
                statement=f"it takes back what the training of this version had added to {way[-2][:12]}",
                log_odds=1.0,
                method="adapters.repeated",
            )
        )
    return Derivation(
        child=adapter.version,
        parents=(Parent(id=way[-1]),),
        relation=Relation.ADAPTED_FROM,
        basis=Basis.INFERRED,
        confidence=MOST_CERTAIN if members == 1 else BASE_FOUND,
        method=f"{METHOD} adapter fit",
        summary=f"fits the family of this version ({members} members); which of them was its base is less sure",
        observations=tuple(observations),
        runner_up=next((version for version in others if version != way[-1]), None),
    )
