"""From an edge of a family's tree to a derivation that a reader can check: relation, evidence, sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Basis, Relation
from lineage.calibration import log_odds
from lineage.family import TreeEdge
from lineage.rules.comparison import Comparison, Transformation
from lineage.rules.expansion import added_rows, layer_count
from lineage.rules.registry import reversible_transformation

METHOD = "weights/1"

COPIES = (Relation.QUANTIZED_FROM, Relation.PRUNED_FROM, Relation.REPARAMETRIZED_FROM)
"""What is no version of its own where a teacher or a base is sought: its source stands for it."""

MOST_CERTAIN = 0.999
LEAST_NEARNESS = 2e-9
"""Where what a tail distance counts for ends, 20 in log-odds."""


def derivation(family: Sequence[Fingerprint], edge: TreeEdge) -> Derivation:
    """The derivation an edge stands for.

    Parameters
    ----------
    family : sequence of Fingerprint
    edge : TreeEdge
        Positions refer to `family`.
    """
    parent, child = family[edge.parent], family[edge.child]
    runner_up = None if edge.runner_up is None else family[edge.runner_up].version
    if edge.certain is not None and edge.certain.merge is not None:
        return _merge(family, edge)
    if edge.certain is not None and edge.certain.transformation is not None and edge.certain.directed:
        found = edge.certain.transformation
    else:
        found = reversible_transformation(parent, child) or _fine_tuned(parent, child)
    return Derivation(
        child=child.version,
        parents=(Parent(id=parent.version),),
        relation=found.relation,
        basis=Basis.INFERRED,
        confidence=_bounded(edge.probability),
        method=f"{METHOD} {found.method}",
        summary=found.summary,
        parameters=dict(found.parameters),
        observations=(*found.observations, *_nearness(family, edge), *_direction(edge)),
        runner_up=runner_up,
    )


def _merge(family: Sequence[Fingerprint], edge: TreeEdge) -> Derivation:
    merge = edge.certain.merge if edge.certain is not None else None
    if merge is None:  # pragma: no cover - the caller looked
        raise ValueError("no merge")
    weights = [None if weight is None else round(weight, 4) for weight in merge.weights]
    parents = tuple(
        Parent(id=family[member].version, role=role, weight=weight)
        for member, role, weight in zip(merge.members, merge.roles, weights, strict=True)
    )
    return Derivation(
        child=family[edge.child].version,
        parents=parents,
        relation=Relation.MERGED_FROM,
        basis=Basis.INFERRED,
        confidence=_bounded(edge.probability),
        method=f"{METHOD} {merge.method} merge",
        summary=f"a {merge.method} merge of {merge.roles.count('constituent')} versions",
        parameters={"method": merge.method, "weights": weights, "roles": list(merge.roles)},
        observations=(
            Observation(
                kind="merge_formula",
                statement=merge.statement,
                value=merge.residual,
                log_odds=float(np.clip(-np.log(max(merge.residual, 1e-9)), 4, 20)),
                method=f"merges.{merge.method}",
            ),
        ),
    )


def _fine_tuned(parent: Fingerprint, child: Fingerprint) -> Transformation:
    comparison = Comparison(parent=parent, child=child)
    equal = [pair.role for pair in comparison.pairs if pair.equal]
    total = len(comparison.pairs)
    words = f"{len(comparison.changed)} of {total} shared tensors changed"
    notes = []
    if comparison.gained:
        notes.append(f"{len(comparison.gained)} new")
    if comparison.lost:
        notes.append(f"{len(comparison.lost)} gone")
    observation = Observation(
        kind="equal_tensors",
        statement=f"{len(equal)} of {total} shared tensors are equal to the bit"
        + "".join(f", {note}" for note in notes),
        value=len(equal) / max(total, 1),
        method="comparison",
    )
    observations = (observation, *_not_finite(comparison))
    deeper, rows = layer_count(child) - layer_count(parent), added_rows(comparison)
    if deeper > 0 or rows > 0:
        what = f"{deeper} layers" if deeper > 0 else f"{rows} rows of the vocabulary"
        return Transformation(
            relation=Relation.EXPANDED_FROM,
            method="depth, then trained" if deeper > 0 else "vocabulary, then trained",
            directed=False,
            summary=", ".join([f"{what} were added and {words}", *notes]),
            parameters={"layers": deeper} if deeper > 0 else {"rows": rows},
            observations=observations,
        )
    student = comparison.lost and not comparison.gained and layer_count(child) < layer_count(parent)
    return Transformation(
        relation=Relation.DISTILLED_FROM if student else Relation.FINE_TUNED_FROM,
        method="student with the teacher's layers" if student else "full",
        directed=False,
        summary=", ".join([words, *notes]),
        parameters={"equal_tensors": len(equal), "shared_tensors": total, "new_tensors": len(comparison.gained)},
        observations=observations,
    )


def _not_finite(comparison: Comparison) -> tuple[Observation, ...]:
    broken = sum(bool(pair.one.nonfinite or pair.two.nonfinite) for pair in comparison.pairs)
    if not broken:
        return ()
    return (
        Observation(
            kind="not_finite",
            statement=f"{broken} of {len(comparison.pairs)} shared tensors hold infinite values or such as are no "
            "numbers in one of the two; those values are left out of the comparison",
            value=broken / len(comparison.pairs),
            method="comparison",
        ),
    )


def _nearness(family: Sequence[Fingerprint], edge: TreeEdge) -> tuple[Observation, ...]:
    if edge.link is None or edge.certain is not None:
        return ()
    odds = log_odds(edge.neighbours, least=LEAST_NEARNESS)
    near = Observation(
        kind="tail_distance",
        statement=f"tail distance {np.sqrt(edge.link.tail):.3g} (1 is typical of the family)"
        + ("; no third version was there to weigh against it" if len(family) == 2 else ""),
        value=float(np.sqrt(edge.link.tail)),
        log_odds=odds,
        method="tail_distance",
    )
    if edge.runner_up is None or edge.runner_up_link is None or edge.link.tail <= 0:
        return (near,)
    ratio = float(np.sqrt(edge.runner_up_link.tail / edge.link.tail))
    fewer = edge.link.shared - edge.runner_up_link.shared
    if not np.isfinite(ratio):
        return (near,)
    following = Observation(
        kind="runner_up",
        statement=f"the next best parent, {family[edge.runner_up].version[:12]}, is {ratio:.3g} times as far"
        + (f", and lacks {fewer} of the tensors that stayed as they were" if fewer > 0 else ""),
        value=ratio,
        method="tail_distance",
    )
    return near, following


def _direction(edge: TreeEdge) -> tuple[Observation, ...]:
    forward = float(np.clip(edge.forward, 1e-9, 1 - 1e-9))
    whole = Observation(
        kind="direction",
        statement="all cues together, those of this edge and of the rest of the family's tree, point this way with "
        f"{'over ' if edge.forward > MOST_CERTAIN else ''}{min(edge.forward, MOST_CERTAIN):.1%}",
        value=edge.forward,
        log_odds=float(np.log(forward) - np.log1p(-forward)),
        method="root_posterior",
    )
    own = edge.cues.observations() if edge.cues is not None else ()
    return (whole, *own) if edge.certain is None else ()


def _bounded(probability: float) -> float:
    """No inference from samples is certain: at most 0.999."""
    return float(min(max(probability, 0.0), MOST_CERTAIN))
