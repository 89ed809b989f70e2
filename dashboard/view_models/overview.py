"""The landing page: how much there is, which families are the largest, where claims and weights differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.view_models.appearance import style_of
from dashboard.view_models.document import Block
from dashboard.view_models.plain_text import visible
from graph_schema.labels import GHOST, LINEAGE, Basis, Label, Relation, VersionKind
from graph_schema.lineage_graph import LineageGraph, LineageNode
from lineage.reconciliation import Finding, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is in a store."""

    models: int
    versions: int
    ghosts: int
    declared: int
    inferred: int
    datasets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Versions that hang together.

    Attributes
    ----------
    root : LineageNode
        The version that most of them descend from.
    size : int
        Versions, ghosts included.
    relations : mapping of Relation to int
        How many children were made in each way; a child that is declared and inferred alike counts once.
    """

    root: LineageNode
    size: int
    relations: Mapping[Relation, int]


def counts(statistics: Iterable[Mapping[str, Any]]) -> Counts:
    """Sum up what the store says it holds."""
    nodes: Counter[str] = Counter()
    edges: Counter[str] = Counter()
    for row in statistics:
        if row["what"] == "node":
            nodes[row["name"]] += row["count"]
        elif row["name"] in LINEAGE:
            edges[row["basis"]] += row["count"]
    return Counts(
        models=nodes[Label.MODEL],
        versions=nodes[Label.VERSION] - nodes[GHOST],
        ghosts=nodes[GHOST],
        declared=edges[Basis.DECLARED],
        inferred=edges[Basis.INFERRED],
        datasets=nodes[Label.DATASET],
    )


def families(graph: LineageGraph, limit: int) -> tuple[Family, ...]:
    """The largest families of a graph: versions that edges connect, two or more of them.

    Where the weights name a version's parents, its claims do not count: a false one would join two families.

    The root is the one without parents from which the most others are reached, then the first by name; where claims and
    weights go in a circle, any version may be it. Ties between families go by name.
    """
    beside: dict[str, set[str]] = {}
    down: dict[str, set[str]] = {}
    made: dict[str, set[tuple[str, Relation]]] = {}
    known = {edge.child for edge in graph.edges if edge.basis is Basis.INFERRED}
    for edge in graph.edges:
        if edge.basis is Basis.DECLARED and edge.child in known:
            continue
        beside.setdefault(edge.child, set()).add(edge.parent)
        beside.setdefault(edge.parent, set()).add(edge.child)
        down.setdefault(edge.parent, set()).add(edge.child)
        made.setdefault(edge.child, set()).add((edge.parent, edge.relation))
    nodes = {node.id: node for node in graph.nodes}
    groups: list[list[str]] = []
    seen: set[str] = set()
    for start in beside:
        if start not in seen:
            members = _reached(start, beside)
            seen |= members
            groups.append(sorted(members, key=lambda item: (nodes[item].name, item)))
    groups.sort(key=lambda members: (-len(members), nodes[members[0]].name, members[0]))
    found = []
    for family in groups[:limit]:
        roots = [item for item in family if item not in made] or family[:1]
        root = max(roots, key=lambda item: (len(_reached(item, down)), nodes[item].kind is not VersionKind.GHOST))
        ways = Counter(relation for item in family for relation in {way for _, way in made.get(item, ())})
        found.append(Family(root=nodes[root], size=len(family), relations=dict(sorted(ways.items()))))
    return tuple(found)


def _reached(start: str, beside: Mapping[str, set[str]]) -> set[str]:
    seen, frontier = {start}, [start]
    while frontier:
        found = beside.get(frontier.pop(), set()) - seen
        seen |= found
        frontier += found
    return seen


def counts_block(given: Counts) -> Block:
    """The figures at the top of the page."""
    figures = (
        ("models", given.models),
        ("versions", given.versions),
        ("edges inferred", given.inferred),
        ("edges declared", given.declared),
        ("named or implied, absent", given.ghosts),
        ("data sets", given.datasets),
    )
    return Block(
        look="figures",
        children=tuple(
            Block(
                look="count",
                children=(
                    Block(tag="span", look="figure", text=f"{value:,}"),
                    Block(tag="span", look="quiet", text=name),
                ),
            )
            for name, value in figures
        ),
    )


def family_block(family: Family) -> Block:
    """One family as a line: its size, and a bar of the ways in which its members were made."""
    total = sum(family.relations.values()) or 1
    bars, said, start = [], [], 0.0
    for relation in (item for item in LINEAGE if item in family.relations):
        share = family.relations[relation] / total
        tooltip = f"{family.relations[relation]:,} {style_of(relation).label}"
        said.append(tooltip)
        bars.append(Block(look="bar", start=start, share=share, colour=style_of(relation).colour, tooltip=tooltip))
        start += share
    return Block(
        look="family",
        children=(
            Block(look="track thick", children=tuple(bars)),
            Block(tag="span", look="quiet", text=visible(f"{family.size:,} versions · {', '.join(said)}")),
        ),
    )


def notable(findings: Sequence[Finding], limit: int) -> tuple[Finding, ...]:
    """The findings that a reader should see first: those in which papers and weights differ."""
    worth = {Verdict.CONTRADICTED, Verdict.UNNAMED, Verdict.UNDECLARED}
    return tuple(item for item in findings if item.verdict in worth)[:limit]


def speaking_of(findings: Iterable[Finding], text: str) -> tuple[Finding, ...]:
    """The findings whose sentence holds every word of a text, upper and lower case aside."""
    wanted = text.lower().split()
    return tuple(item for item in findings if all(word in item.statement.lower() for word in wanted))


def verdict_counts(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How many findings there are of each verdict, gravest first, those without any left out."""
    found = Counter(item.verdict for item in findings)
    return {verdict: found[verdict] for verdict in Verdict if found[verdict]}
