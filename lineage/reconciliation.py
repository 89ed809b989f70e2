"""Claims held against the weights: where they agree, where they differ, and what either leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from graph_schema.identity import GHOST_PREFIX, IMPLIED_PREFIX
from graph_schema.labels import Basis
from graph_schema.lineage_graph import LineageEdge

UNKNOWN_PREFIX = f"{GHOST_PREFIX}unknown base of "


class Verdict(StrEnum):
    """What comes of holding a claim against the weights, gravest first."""

    CONTRADICTED = "contradicted"
    UNNAMED = "unnamed"
    UNDECLARED = "undeclared"
    UNCONFIRMED = "unconfirmed"
    ABSENT = "absent"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One child, what is claimed about its parents, and what its weights show.

    Attributes
    ----------
    verdict : Verdict
    child : str
        Id of a Version.
    declared, inferred : tuple of str
        Ids of the parents on either side, sorted.
    statement : str
        One sentence, with names.
    confidence : float
        Of the least sure inferred edge; 0 where there is none.
    """

    verdict: Verdict
    child: str
    declared: tuple[str, ...]
    inferred: tuple[str, ...]
    statement: str
    confidence: float


def reconcile(edges: Iterable[LineageEdge], names: Mapping[str, str]) -> tuple[Finding, ...]:
    """Hold every declared parent against the inferred ones.

    Parameters
    ----------
    edges : iterable of LineageEdge
        Declared and inferred ones of the versions in question.
    names : mapping of version id to name
        For the sentences; an id stands for itself where it has none.

    Returns
    -------
    tuple of Finding
        One a child that has any edge, gravest first, then by the child's name. A claim is *confirmed* where every
        declared parent is among the inferred ones; *contradicted* where the weights name others; *unnamed* where the
        card says that it does not know and the weights do; *undeclared* where it says nothing; *absent* where the
        claimed parent is not in the lake to be compared; *unconfirmed* where it is, but the weights do not tell. A
        parent that the weights imply, and that is not in the lake either, may be the one that is claimed. Nothing
        documents an implied version itself: there is no finding about it.
    """
    declared: dict[str, set[str]] = {}
    inferred: dict[str, dict[str, float]] = {}
    for edge in edges:
        if edge.child.startswith(IMPLIED_PREFIX):
            continue
        if edge.basis is Basis.DECLARED:
            declared.setdefault(edge.child, set()).add(edge.parent)
        else:
            inferred.setdefault(edge.child, {})[edge.parent] = edge.confidence
    findings = [
        _finding(child, declared.get(child, set()), inferred.get(child, {}), names)
        for child in declared.keys() | inferred.keys()
    ]
    gravity = list(Verdict)
    return tuple(
        sorted(findings, key=lambda item: (gravity.index(item.verdict), names.get(item.child, item.child), item.child))
    )


def _finding(child: str, declared: set[str], inferred: Mapping[str, float], names: Mapping[str, str]) -> Finding:
    def listed(ids: Iterable[str]) -> str:
        return " and ".join(sorted(names.get(item, item.removeprefix(GHOST_PREFIX)) for item in ids))

    name = names.get(child, child)
    unnamed = {item for item in declared if item.startswith(UNKNOWN_PREFIX)}
    named = declared - unnamed
    ghosts = {item for item in named if item.startswith(GHOST_PREFIX)}
    sure = f"{min(inferred.values()):.0%}" if inferred else ""
    hidden = bool(inferred) and all(item.startswith(IMPLIED_PREFIX) for item in inferred)
    shown = "imply one that is not in the lake" if hidden else f"say {listed(inferred)}"
    if not inferred:
        if named - ghosts:
            verdict, words = Verdict.UNCONFIRMED, f"names {listed(named)}; the weights do not tell"
        elif named:
            verdict, words = Verdict.ABSENT, f"names {listed(named)}, which is not in the lake"
        else:
            verdict, words = Verdict.ABSENT, "does not know its base, and nothing in the lake is related to it"
    elif named and named <= set(inferred):
        verdict, words = Verdict.CONFIRMED, f"names {listed(named)}, and so do the weights ({sure})"
    elif named - ghosts:
        verdict = Verdict.CONTRADICTED
        words = f"names {listed(named)}, but the weights {shown} ({sure})"
    elif ghosts and hidden:
        verdict = Verdict.ABSENT
        words = f"names {listed(named)}, which is not in the lake; nor is the parent that the weights imply ({sure})"
    elif ghosts:
        verdict = Verdict.CONTRADICTED
        words = f"names {listed(named)}, which is not in the lake; the weights {shown} ({sure})"
    elif unnamed:
        verdict, words = Verdict.UNNAMED, f"does not know its base; the weights {shown} ({sure})"
    else:
        verdict, words = Verdict.UNDECLARED, f"names no base; the weights {shown} ({sure})"
    return Finding(
        verdict=verdict,
        child=child,
        declared=tuple(sorted(declared)),
        inferred=tuple(sorted(inferred)),
        statement=f"the documentation of {name} {words}",
        confidence=min(inferred.values(), default=0.0),
    )
