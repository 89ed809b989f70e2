"""Students trained from random weights: no weight of the teacher is in them, but the geometry of its outputs is.

A student learns to give its teacher's outputs, and which of them are like which becomes the same in both, whatever
their widths (`lineage.output_geometry`). That outputs give a network away is known from attacks on models behind an
interface (Carlini et al. 2024, arXiv 2403.06634; Finlayson et al. 2024, arXiv 2403.09539).

Training on the same data leaves much the same geometry, without any teacher: this names who the teacher was most
probably, if there was one, and never shows that there was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Basis, Relation
from lineage.conclusions import Conclusions
from lineage.derivations import COPIES, METHOD
from lineage.output_geometry import OutputGeometry, agreement, output_geometry, output_map
from lineage.spanning_tree import ancestors_of, depths_of

LARGER = 1.1
"""A teacher has at least so many times the parameters of its student."""

LEAST_LEAD = 0.05
"""How much of what is left to perfect agreement lies between the best family and the next."""

NOT_TOLD = 0.01
"""How much of what is left to perfect agreement a version must have before its ancestor to be named instead of it:
what was trained further from a teacher has clearer outputs of the same geometry."""

NAMED = 0.4
"""How sure the teacher is: three of five are named right on trained lakes (`benchmarks.edge_kinds`), in which every
such model is a student; elsewhere many are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreement:
    """How far a larger version agrees with a student: in what its layers write, and in its output map."""

    version: str
    written: float
    mapped: float


def student_conclusions(groups: Sequence[Sequence[Fingerprint]], found: Sequence[Conclusions]) -> Conclusions:
    """The likeliest teachers of versions without kin.

    Parameters
    ----------
    groups : sequence of sequence of Fingerprint
        All families, those of one included.
    found : sequence of Conclusions
        About them; copies are passed over as teachers.

    Notes
    -----
    Each version without kin is held against all larger ones of its architecture: time O(s n k^2) for s of them among n
    versions with k outputs, and what `output_geometry` takes for each of both; memory O(s k^2).
    """
    edges = [item for conclusions in found for item in conclusions.derivations]
    copies = {item.child for item in edges if item.relation in COPIES}
    parents = {item.child: [parent.id for parent in item.parents] for item in edges}
    family = {item.version: number for number, group in enumerate(groups) for item in group}
    alone: dict[tuple[str, str], list[tuple[Fingerprint, OutputGeometry]]] = {}
    for group in groups:
        if len(group) == 1 and (geometry := output_geometry(group[0])) is not None:
            alone.setdefault((group[0].architecture, geometry.role), []).append((group[0], geometry))
    scores: dict[str, list[_Agreement]] = {}
    for teacher in (item for group in groups for item in group if item.version not in copies):
        tensor = output_map(teacher)
        students = alone.get((teacher.architecture, tensor.role), ()) if tensor is not None else ()
        smaller = [item for item in students if teacher.parameters >= LARGER * item[0].parameters]
        geometry = output_geometry(teacher) if smaller else None
        for student, own in smaller:
            if geometry is not None and (score := _agreement(own, geometry, teacher.version)) is not None:
                scores.setdefault(student.version, []).append(score)
    derivations = [
        edge for student, agreements in scores.items() if (edge := _taught(student, agreements, family, parents))
    ]
    doubt = "no kin by its weights; if it was distilled, this is the likeliest teacher, but training on the same data "
    return Conclusions(
        derivations=tuple(derivations),
        doubts={item.child: doubt + "leaves the same trace" for item in derivations},
    )


def _agreement(student: OutputGeometry, teacher: OutputGeometry, version: str) -> _Agreement | None:
    if student.written != teacher.written:
        return None
    written, mapped = (agreement(student, teacher, of=of) for of in ("cosines", "products"))
    if written is None or mapped is None:
        return None
    return _Agreement(version=version, written=written, mapped=mapped)


def _taught(
    student: str, agreements: Sequence[_Agreement], family: Mapping[str, int], parents: Mapping[str, Sequence[str]]
) -> Derivation | None:
    nearest = max(agreements, key=lambda item: (item.written, item.version))
    others = [item.written for item in agreements if family[item.version] != family[nearest.version]]
    # Without another family to hold it against, an agreement says nothing.
    if not others or max(others) > nearest.written - LEAST_LEAD * (1 - nearest.written):
        return None
    ranked = _ranked([item for item in agreements if family[item.version] == family[nearest.version]], parents)
    teacher = ranked[0]
    return Derivation(
        child=student,
        parents=(Parent(id=teacher.version),),
        relation=Relation.DISTILLED_FROM,
        basis=Basis.INFERRED,
        confidence=NAMED,
        method=f"{METHOD} output geometry",
        summary="no weight of it is from here, but its outputs lie to each other as those of this version do",
        observations=(
            Observation(
                kind="output_geometry",
                statement=f"which of its outputs are like which agrees with this version by {teacher.written:.3f}, and "
                f"with the nearest other family by {max(others):.3f}; training on the same data leaves this trace "
                "as well",
                value=teacher.written,
                log_odds=float(np.log(NAMED / (1 - NAMED))),
                method="output_geometry.agreement",
            ),
        ),
        runner_up=ranked[1].version if len(ranked) > 1 else None,
    )


def _ranked(members: Iterable[_Agreement], parents: Mapping[str, Sequence[str]]) -> list[_Agreement]:
    """Members of one family, the likeliest teacher first: the best, or its first ancestor that agrees about as well."""
    depths = depths_of({child: above[0] for child, above in parents.items()})
    # What was trained with its output map frozen agrees as well as what it was trained from.
    ranked = sorted(members, key=lambda item: (-round(item.mapped, 12), depths.get(item.version, 0), item.version))
    best, above = ranked[0], ancestors_of(ranked[0].version, parents)
    least = best.mapped - NOT_TOLD * (1 - best.mapped)
    first = min(
        (item for item in ranked if item is best or (item.version in above and item.mapped >= least)),
        key=lambda item: (depths.get(item.version, 0), ranked.index(item)),
    )
    return [first, *(item for item in ranked if item is not first)]
