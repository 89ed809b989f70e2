"""The evidence panel: what stands behind an edge, and what is said of a version by its papers and by its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dashboard.view_models.appearance import CONTRADICTION_COLOUR, count_in_words, plural, style_of
from dashboard.view_models.document import Block
from dashboard.view_models.neighbourhood import Extent
from dashboard.view_models.observations import FOR_COLOUR, observation_block, with_names
from dashboard.view_models.plain_text import visible
from graph_schema.identity import GHOST_PREFIX
from graph_schema.labels import LINEAGE, Basis, VersionKind
from graph_schema.lineage_graph import EditDetail, LineageEdge, LineageGraph, LineageNode
from lineage.reconciliation import Finding, Verdict
from modellake.explanation import Explanation, Outcome, Parentage

VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.CONTRADICTED: ("Claim contradicted by the weights", CONTRADICTION_COLOUR),
    Verdict.UNNAMED: ("Base unnamed; the weights name one", "#b45309"),
    Verdict.UNDECLARED: ("Undeclared; the weights name a parent", "#b45309"),
    Verdict.UNCONFIRMED: ("Claim that the weights do not tell", "#64748b"),
    Verdict.ABSENT: ("Claimed parent is not in the lake", "#64748b"),
    Verdict.CONFIRMED: ("Claim confirmed by the weights", FOR_COLOUR),
}


def edge_panel(
    edge: LineageEdge,
    detail: EditDetail,
    beside: Sequence[LineageEdge],
    names: Mapping[str, str],
    finding: Finding | None,
    why: Parentage | None = None,
) -> Block:
    """What stands behind one edge.

    Parameters
    ----------
    edge : LineageEdge
    detail : EditDetail
        Its Edit.
    beside : sequence of LineageEdge
        Every edge from the same child to a parent, this one included.
    names : mapping of version id to name
        Ids stand for themselves where they have none.
    finding : Finding, optional
        What comes of holding the child's claims against its weights.
    why : Parentage, optional
        The inferred edge, explained.
    """
    style = style_of(edge.relation)
    child, parent = _name(edge.child, names), _name(edge.parent, names)
    said = visible(with_names(detail.summary, names)) or f"{child} is {style.verb} {parent}."
    parts = [
        Block(
            look="kicker",
            children=(
                Block(tag="span", look="chip", text=style.label, colour=style.colour),
                Block(tag="span", look=f"basis {edge.basis}", text=str(edge.basis)),
            ),
        ),
        Block(
            tag="h2",
            text=child,
            children=(Block(tag="span", look="quiet", text=f" {style.verb} "), Block(tag="span", text=parent)),
        ),
        Block(tag="p", look="summary", text=said),
        _confidence(edge),
    ]
    if finding is not None:
        parts.append(verdict_block(finding))
    if len(beside) > 1 or beside[:1] != [edge]:
        parts.append(_side_by_side(beside, names))
    parts.append(Block(tag="h3", text=f"Evidence · {len(detail.evidence)}"))
    if not detail.evidence:
        parts.append(Block(tag="p", look="quiet", text="No observation is recorded for this edge."))
    parts += [observation_block(item, names) for item in detail.evidence]
    parts += _would_change(() if why is None else why.would_change)
    parts.append(Block(tag="h3", text="How it was found"))
    facts = [
        ("method", visible(detail.method)),
        ("runner-up", _name(detail.runner_up, names) if detail.runner_up else "none"),
    ]
    facts += [(visible(name), visible(text)) for name, text in _parameters(detail.parameters)]
    parts.append(_table(facts))
    return Block(look="panel", children=tuple(parts))


def node_panel(
    node: LineageNode,
    extent: Extent | None,
    beside: Sequence[LineageEdge],
    names: Mapping[str, str],
    finding: Finding | None,
    why: Explanation | None = None,
) -> Block:
    """What is known of one version, what is said of its parents, and why no parent is named where none is."""
    ghost = node.kind is VersionKind.GHOST
    facts = [
        ("architecture", node.architecture or ""),
        ("parameters", f"{node.parameters:,} ({count_in_words(node.parameters)})" if node.parameters else ""),
        ("precision", node.dtype or ""),
        ("licence", node.license or ""),
        ("published as", ", ".join(node.models)),
        ("parents", _of(extent.parents, extent.all_parents) if extent else ""),
        ("children", _of(extent.children, extent.all_children) if extent else ""),
        ("id", node.id),
    ]
    parts = [
        Block(
            look="kicker",
            children=(Block(tag="span", look="basis", text="ghost" if ghost else f"{node.kind} version"),),
        ),
        Block(tag="h2", text=visible(node.name)),
    ]
    if ghost:
        words = "No document names it: the weights of its children imply it." if node.implied else "Named as a parent."
        parts.append(Block(tag="p", look="summary", text=f"{words} Its weights are not in this lake."))
    if finding is not None:
        parts.append(verdict_block(finding))
    if beside:
        parts.append(_side_by_side(beside, names))
    elif not ghost:
        parts.append(
            Block(tag="p", look="quiet", text="Nothing is declared about its parents, and nothing was inferred.")
        )
    if why is not None and not ghost and why.outcome not in (Outcome.PARENT, Outcome.HIDDEN_PARENT):
        parts += _no_parent(why)
    parts += [Block(tag="h3", text="Version"), _table([(name, visible(text)) for name, text in facts if text])]
    return Block(look="panel", children=tuple(parts))


def verdict_block(finding: Finding) -> Block:
    """What comes of holding a claim against the weights, in one line and one sentence."""
    title, colour = VERDICTS[finding.verdict]
    sentence = visible(finding.statement)
    return Block(
        look="verdict",
        colour=colour,
        children=(
            Block(tag="span", look="verdict-title", text=title),
            Block(tag="p", text=sentence[:1].upper() + sentence[1:] + "."),
        ),
    )


def _no_parent(why: Explanation) -> list[Block]:
    """What the weights say of a version's origin where they name no parent."""
    sentence = visible(why.statement)
    parts = [
        Block(tag="h3", text="What the weights say"),
        Block(tag="p", text=sentence[:1].upper() + sentence[1:] + "."),
    ]
    for item in why.parentages:
        parts.append(Block(tag="p", look="quiet", text=visible(f"Likeliest: {item.words}, {item.confidence:.0%}")))
        parts += _would_change(item.would_change)
    return parts + _would_change(why.would_change)


def _would_change(lines: Sequence[str]) -> list[Block]:
    if not lines:
        return []
    listed = tuple(Block(tag="li", text=visible(line[:1].upper() + line[1:]) + ".") for line in lines)
    return [Block(tag="h3", text="What would change this"), Block(tag="ul", children=listed)]


def _confidence(edge: LineageEdge) -> Block:
    declared = edge.basis is Basis.DECLARED
    return Block(
        look="confidence",
        children=(
            Block(tag="span", look="figure", text="—" if declared else f"{edge.confidence:.0%}"),
            Block(
                look="track",
                children=(
                    Block(
                        look="bar", share=0.0 if declared else edge.confidence, colour=style_of(edge.relation).colour
                    ),
                ),
            ),
            Block(
                tag="span",
                look="quiet",
                text="a claim: who made it is known, not whether it is true"
                if declared
                else "confidence, from the weights",
            ),
        ),
    )


def _side_by_side(edges: Sequence[LineageEdge], names: Mapping[str, str]) -> Block:
    def side(basis: Basis, title: str) -> Block:
        mine = sorted((edge for edge in edges if edge.basis is basis), key=lambda edge: (-edge.confidence, edge.parent))
        lines = [
            Block(
                tag="li",
                children=(
                    Block(tag="span", look="dot", colour=style_of(edge.relation).colour),
                    Block(tag="span", text=f"{style_of(edge.relation).label} ", look="quiet"),
                    Block(tag="span", text=_name(edge.parent, names)),
                    Block(
                        tag="span",
                        look="quiet",
                        text=("" if edge.weight is None else f" × {edge.weight:.2f}")
                        + ("" if basis is Basis.DECLARED else f" {edge.confidence:.0%}"),
                    ),
                ),
            )
            for edge in mine
        ]
        return Block(
            look="side",
            children=(
                Block(tag="span", look=f"basis {basis}", text=title),
                Block(tag="ul", children=tuple(lines) or (Block(tag="li", look="quiet", text="nothing"),)),
            ),
        )

    return Block(look="sides", children=(side(Basis.DECLARED, "declared"), side(Basis.INFERRED, "inferred")))


def _parameters(text: str) -> list[tuple[str, str]]:
    try:
        found = json.loads(text)
    except ValueError:
        return [("parameters", text)]
    if not isinstance(found, dict):
        return [("parameters", text)]
    return [(str(name).replace("_", " "), _value(value)) for name, value in found.items()]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        shown = ", ".join(_value(item) for item in value[:6])
        return f"{shown}, … ({len(value)})" if len(value) > 6 else shown
    return str(value)


def _table(facts: Sequence[tuple[str, str]]) -> Block:
    rows = tuple(
        Block(tag="tr", children=(Block(tag="th", text=name), Block(tag="td", text=text))) for name, text in facts
    )
    return Block(tag="table", children=rows)


def _of(drawn: int, everything: int) -> str:
    return f"{drawn:,}" if drawn == everything else f"{drawn:,} of {everything:,} drawn"


def _name(version: str, names: Mapping[str, str]) -> str:
    return visible(names.get(version) or version.removeprefix(GHOST_PREFIX))


def summary_line(drawn: int, reachable: int, edges: int) -> str:
    """How much of what is known is drawn.

    Examples
    --------
    >>> summary_line(12, 40, 13), summary_line(1, 1, 0)
    ('12 of 40 versions drawn · 13 edges', '1 version · 0 edges')
    """
    versions = plural(drawn, "version") if drawn >= reachable else f"{drawn:,} of {reachable:,} versions drawn"
    return f"{versions} · {plural(edges, 'edge')}"


def legend_block(graph: LineageGraph, line: str, beyond: int) -> Block:
    """What the lines mean, and how much of what is known is drawn."""
    present = {edge.relation for edge in graph.edges}
    items = [("", style_of(relation).colour, style_of(relation).label) for relation in LINEAGE if relation in present]
    items += [("", "#475569", "inferred, thicker where surer"), ("dashed", "#475569", "declared")]
    if beyond:
        line += f" · {plural(beyond, 'edge')} further out"
    return Block(
        look="legend",
        children=(
            Block(tag="span", look="drawn", text=line),
            *(
                Block(
                    tag="span",
                    look="legend-item",
                    children=(Block(tag="span", look=f"line {look}", colour=colour), Block(tag="span", text=text)),
                )
                for look, colour, text in items
            ),
        ),
    )
