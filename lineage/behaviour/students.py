"""Students trained from random weights: no weight of the teacher is in them, but the geometry of its outputs is.

A student learns to give its teacher's outputs, and which of them are like which becomes the same in both, whatever
their widths (`output_geometry`). That outputs give a network away is known from attacks on models behind an interface
(Carlini et al. 2024, arXiv 2403.06634; Finlayson et al. 2024, arXiv 2403.09539).

That tells the family, where one stands out. Which member of it was the teacher is told, where all weights are at hand,
by what both say to text that the student wrote (`own_text`) or to single tokens (`single_tokens`), and by the geometry
else; where no family stands out, both must name the same.

Training on the same data leaves much the same, without any teacher: this names who the teacher was most probably, if
there was one, and never shows that there was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Basis, Relation
from lineage.behaviour.output_geometry import OutputGeometry, agreement, output_geometry, output_map
from lineage.behaviour.own_text import OwnText, divergence_on, own_text
from lineage.behaviour.single_tokens import Answers, divergence, single_tokens
from lineage.conclusions import Conclusions
from lineage.derivations import COPIES, METHOD
from lineage.spanning_tree import ancestors_of, depths_of
from lineage.symmetry.weights import WeightSource

LARGER = 1.1
"""A teacher has at least so many times the parameters of its student."""

LEAST_LEAD = 0.05
"""How much of what is left to perfect agreement lies between the best family and the next."""

NOT_TOLD = 0.01
"""How much of what is left to perfect agreement a version must have before its ancestor to be named instead of it:
what was trained further from a teacher has clearer outputs of the same geometry."""

NAMED = 0.4
"""How sure the teacher is: most are named right on trained lakes (`benchmarks.edge_kinds`), in which every such model
is a student; elsewhere many are not."""


_Question = Answers | OwnText

MOST_READ = 16
"""Members of a family, those that agree best, whose weights are read again where fingerprints hold them in part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreement:
    """How far a larger version agrees with a student: in what its layers write, and in its output map."""

    version: str
    written: float
    mapped: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Student:
    """A version without kin, and the family that its outputs are most like.

    Attributes
    ----------
    family : int
    members : tuple of _Agreement
        Those of the family, and of the next where that agrees about as well.
    second : float
        How far the next family agrees with it.
    doubtful : bool
        Whether the family does not stand out from the next.
    """

    fingerprint: Fingerprint
    family: int
    members: tuple[_Agreement, ...]
    second: float
    doubtful: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """How far what a student says lies from what each larger version says, in nats; `own` if to its own text."""

    far: Mapping[str, float]
    own: bool


def student_conclusions(
    groups: Sequence[Sequence[Fingerprint]], found: Sequence[Conclusions], *, weights: WeightSource | None = None
) -> Conclusions:
    """The likeliest teachers of versions without kin.

    Parameters
    ----------
    groups : sequence of sequence of Fingerprint
        All families, those of one included.
    found : sequence of Conclusions
        About them; copies are passed over as teachers.
    weights : WeightSource, optional
        Where matrices are read again that fingerprints do not hold whole: those of students whose family stands out,
        and of its `MOST_READ` members that agree best.

    Notes
    -----
    Each version without kin is held against all larger ones of its architecture: time O(s n k^2) for s of them among n
    versions with k outputs, and what `output_geometry` takes for each of both; memory O(s k^2). Members of the family
    that it is likest are asked for what they say, one in memory at a time.
    """
    edges = [item for conclusions in found for item in conclusions.derivations]
    copies = {item.child for item in edges if item.relation in COPIES}
    parents = {item.child: [parent.id for parent in item.parents] for item in edges}
    family = {item.version: number for number, group in enumerate(groups) for item in group}
    students = _students(groups, copies, family)
    said = _divergences(students, groups, family, weights)
    derivations = [
        _taught(settled, said[settled.fingerprint.version], parents)
        for student in students
        if (settled := _settled(student, said[student.fingerprint.version], family)) is not None
    ]
    doubt = "no kin by its weights; if it was distilled, this is the likeliest teacher, but training on the same data "
    return Conclusions(
        derivations=tuple(derivations),
        doubts={item.child: doubt + "leaves the same trace" for item in derivations},
    )


def _students(
    groups: Sequence[Sequence[Fingerprint]], copies: Collection[str], family: Mapping[str, int]
) -> list[_Student]:
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
    by_id = {item.version: item for group in groups for item in group}
    found = [_placed(by_id[version], agreements, family) for version, agreements in scores.items()]
    return [student for student in found if student is not None]


def _agreement(student: OutputGeometry, teacher: OutputGeometry, version: str) -> _Agreement | None:
    if student.written != teacher.written:
        return None
    written, mapped = (agreement(student, teacher, of=of) for of in ("cosines", "products"))
    if written is None or mapped is None:
        return None
    return _Agreement(version=version, written=written, mapped=mapped)


def _placed(student: Fingerprint, agreements: Sequence[_Agreement], family: Mapping[str, int]) -> _Student | None:
    """With the family whose best member agrees best; None where there is no other to hold it against."""
    first = max(agreements, key=lambda item: (item.written, item.version))
    others = [item for item in agreements if family[item.version] != family[first.version]]
    # Without another family, an agreement says nothing.
    if not others:
        return None
    second = max(others, key=lambda item: (item.written, item.version))
    doubtful = second.written > first.written - LEAST_LEAD * (1 - first.written)
    near = {family[item.version] for item in ((first, second) if doubtful else (first,))}
    return _Student(
        fingerprint=student,
        family=family[first.version],
        members=tuple(item for item in agreements if family[item.version] in near),
        second=second.written,
        doubtful=doubtful,
    )


def _settled(student: _Student, said: _Heard, family: Mapping[str, int]) -> _Student | None:
    """The student with its family alone; None where that is in doubt and what they say does not confirm it."""
    if student.doubtful:
        nearest = min(said.far, key=lambda version: (said.far[version], version), default=None)
        if nearest is None or family[nearest] != student.family:
            return None
    members = tuple(item for item in student.members if family[item.version] == student.family)
    return replace(student, members=members)


def _divergences(
    students: Sequence[_Student],
    groups: Sequence[Sequence[Fingerprint]],
    family: Mapping[str, int],
    weights: WeightSource | None,
) -> dict[str, _Heard]:
    """For each student how far what it says lies from what its members say."""
    far: dict[str, dict[str, dict[int, float]]] = {item.fingerprint.version: {} for item in students}
    writers: set[str] = set()
    asking: dict[str, list[tuple[str, _Question]]] = {}
    for student in students:
        opened = None if student.doubtful else weights
        said = own_text(student.fingerprint, opened) or single_tokens(student.fingerprint, opened)
        if isinstance(said, OwnText):
            writers.add(student.fingerprint.version)
        if said is not None:
            for item in _asked(student):
                asking.setdefault(item.version, []).append((student.fingerprint.version, said))
    for member in (item for number in sorted({family[version] for version in asking}) for item in groups[number]):
        questions = asking.get(member.version, [])
        asked_alone = any(isinstance(said, Answers) for _, said in questions)
        meant = single_tokens(member, weights) if asked_alone else None
        for version, said in questions:
            if isinstance(said, OwnText):
                apart = divergence_on(said, member, weights)
                far[version][member.version] = {} if apart is None else {0: apart}
            elif meant is not None:
                far[version][member.version] = divergence(said, meant)
    return {version: _Heard(far=_at_best_size(each), own=version in writers) for version, each in far.items()}


def _asked(student: _Student) -> Sequence[_Agreement]:
    """The members that it is held against."""
    if all(tensor.whole for tensor in student.fingerprint.tensors):
        return student.members
    return sorted(student.members, key=lambda item: (-item.mapped, item.version))[:MOST_READ]


def _at_best_size(far: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """The divergences at that size of heads at which they are least: with another, all networks speak gibberish."""
    sizes = sorted({size for each in far.values() for size in each})
    if not sizes:
        return {}
    best = min(sizes, key=lambda size: min(each[size] for each in far.values() if size in each))
    return {version: each[best] for version, each in far.items() if best in each}


def _taught(student: _Student, said: _Heard, parents: Mapping[str, Sequence[str]]) -> Derivation:
    ranked = _ranked(student.members, said.far, parents)
    teacher = ranked[0]
    log_odds = float(np.log(NAMED / (1 - NAMED)))
    seen = [
        Observation(
            kind="output_geometry",
            statement=f"which of its outputs are like which agrees with this version by {teacher.written:.3f}, and "
            f"with the nearest other family by {student.second:.3f}; training on the same data leaves this trace "
            "as well",
            value=teacher.written,
            log_odds=log_odds,
            method="output_geometry.agreement",
        )
    ]
    if teacher.version in said.far:
        apart = said.far[teacher.version]
        other = f"; from the next member's by {said.far[ranked[1].version]:.3g}" if len(said.far) > 1 else ""
        what = "what it says to text of its own writing" if said.own else "what it says to one token alone"
        seen.append(
            Observation(
                kind="own_text" if said.own else "single_tokens",
                statement=f"{what} diverges from what this version says by {apart:.3g} nats, where it has learned it "
                f"best{other}",
                value=apart,
                method="own_text.divergence_on" if said.own else "single_tokens.divergence",
            )
        )
    return Derivation(
        child=student.fingerprint.version,
        parents=(Parent(id=teacher.version),),
        relation=Relation.DISTILLED_FROM,
        basis=Basis.INFERRED,
        confidence=NAMED,
        method=f"{METHOD} output geometry",
        summary="no weight of it is from here, but its outputs lie to each other as those of this version do",
        observations=tuple(seen),
        runner_up=ranked[1].version if len(ranked) > 1 else None,
    )


def _ranked(
    members: Iterable[_Agreement], said: Mapping[str, float], parents: Mapping[str, Sequence[str]]
) -> list[_Agreement]:
    """Members of one family, the likeliest teacher first.

    By what they say, where that is known; the others after them by their output maps, of which the best, or its first
    ancestor that agrees about as well.
    """
    depths = depths_of({child: above[0] for child, above in parents.items()})
    every = list(members)
    heard = [item for item in every if item.version in said]
    heard.sort(key=lambda item: (round(said[item.version], 12), depths.get(item.version, 0), item.version))
    # What was trained with its output map frozen agrees as well as what it was trained from.
    silent = [item for item in every if item.version not in said]
    silent.sort(key=lambda item: (-round(item.mapped, 12), depths.get(item.version, 0), item.version))
    if not silent:
        return heard
    best, above = silent[0], ancestors_of(silent[0].version, parents)
    least = best.mapped - NOT_TOLD * (1 - best.mapped)
    first = min(
        (item for item in silent if item is best or (item.version in above and item.mapped >= least)),
        key=lambda item: (depths.get(item.version, 0), silent.index(item)),
    )
    return [*heard, first, *(item for item in silent if item is not first)]
