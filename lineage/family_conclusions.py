"""From a family's tree to conclusions: a derivation an edge, and the parents that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.identity import implied_id
from graph_schema.labels import Basis, Relation
from lineage.calibration import Calibration
from lineage.common_names import common_names
from lineage.conclusions import Conclusions, ImpliedParent
from lineage.derivations import METHOD, derivation
from lineage.family import FamilyTree, TreeEdge, family_tree
from lineage.family_evidence import FamilyEvidence
from lineage.hidden_parents import PROBABILITY, HiddenParent
from lineage.symmetry.copies import DistinctMembers
from lineage.symmetry.frame import frame_of
from lineage.symmetry.weights import WeightSource


def family_conclusions(
    family: Sequence[Fingerprint], calibration: Calibration, weights: WeightSource | None = None
) -> Conclusions:
    """What the weights of a family say about its lineage.

    Parameters
    ----------
    family : sequence of Fingerprint
        At least two related versions; the result does not depend on their order.
    calibration : Calibration
    weights : WeightSource, optional
        Where large tensors of versions that look laundered may be read again.
    """
    named = common_names(family)
    distinct, evidence = family_in_frame(named.members, weights)
    derivations: list[Derivation] = []
    doubts: dict[str, str] = {}
    implied: list[ImpliedParent] = []
    roots: tuple[tuple[str, float], ...] = ()
    if evidence is not None:
        tree = family_tree(evidence, calibration)
        roots = ((distinct.members[tree.root].version, tree.root_probability),)
        replaced = {child for hidden in tree.hidden for child in hidden.children}
        for edge in tree.edges:
            if edge.child not in replaced:
                item = distinct.told(derivation(distinct.members, edge))
                derivations.append(item)
                doubts[item.child] = _doubt(edge)
        for hidden in tree.hidden:
            parent, found = _hidden(distinct.members, tree, hidden)
            implied.append(parent)
            derivations += found
            doubts |= dict.fromkeys((item.child for item in found), "its parent seems to be missing from the lake")
    for item in distinct.copied(derivations):
        derivations.append(item)
        doubts[item.child] = "the same as its neighbour but for laundering; which of the two came first is open"
    derivations = [named.told(item) for item in derivations]
    return Conclusions(derivations=tuple(derivations), roots=roots, implied=tuple(implied), doubts=doubts)


def family_in_frame(
    members: Sequence[Fingerprint], weights: WeightSource | None = None
) -> tuple[DistinctMembers, FamilyEvidence | None]:
    """A family of common names in its common frame, and what its tree is built from, where two members differ.

    Parameters
    ----------
    members : sequence of Fingerprint
        At least two related versions, as `lineage.common_names` names their tensors.
    weights : WeightSource, optional
        As for `family_conclusions`.
    """
    frame = frame_of(members, weights)
    distinct = DistinctMembers.of(frame)
    if len(distinct.members) < 2:
        return distinct, None
    evidence = FamilyEvidence.of(
        distinct.members,
        merging=distinct.merging,
        estimated=frame.estimated,
        blurred=frame.blurred,
        mapped=frozenset(item.version for item, given in zip(frame.members, members, strict=True) if item is not given),
    )
    return distinct, evidence


def _doubt(edge: TreeEdge) -> str:
    if edge.neighbours >= edge.forward:
        return f"related to its neighbour for sure, but which of the two came first is open ({edge.forward:.0%})"
    return f"several relatives lie about as near; the likeliest parent has {edge.neighbours:.0%}"


def _hidden(
    family: Sequence[Fingerprint], tree: FamilyTree, hidden: HiddenParent
) -> tuple[ImpliedParent, list[Derivation]]:
    children = tuple(sorted(family[child].version for child in hidden.children))
    parent = ImpliedParent(id=implied_id(children), children=children)
    edges = {edge.child: edge for edge in tree.edges}
    found = []
    for child in hidden.children:
        own = edges.get(child)
        others = [family[other].version[:12] for other in hidden.children if other != child]
        cues = () if own is None or own.cues is None or own.parent not in hidden.children else own.cues.observations()
        # What is left of them speaks for one of the children having come first, not for the parent that is missing.
        cues = tuple(replace(cue, log_odds=0.0) for cue in cues)
        observation = Observation(
            kind="hidden_parent",
            statement=f"neither this version nor {' nor '.join(others)} was made from the other: between them norms "
            "did not grow, and neither did the rows that moved more",
            log_odds=1.1,
            method="hidden_parents",
        )
        found.append(
            Derivation(
                child=family[child].version,
                parents=(Parent(id=parent.id),),
                relation=Relation.FINE_TUNED_FROM,
                basis=Basis.INFERRED,
                confidence=PROBABILITY,
                method=f"{METHOD} hidden parent",
                summary=f"made from a version that is not in the lake, as {' and '.join(others)} was",
                observations=(observation, *cues),
                runner_up=None if own is None else family[own.parent].version,
            )
        )
    if hidden.above is not None:
        upper = min(edge.probability for edge in tree.edges if edge.child in hidden.children)
        found.append(
            Derivation(
                child=parent.id,
                parents=(Parent(id=family[hidden.above].version),),
                relation=Relation.FINE_TUNED_FROM,
                basis=Basis.INFERRED,
                confidence=min(PROBABILITY, upper),
                method=f"{METHOD} hidden parent",
                summary="what its children have in common was made from this version",
            )
        )
    return parent, found
