"""Students trained from random weights: no weight of the teacher is in them, but the geometry of its outputs is.

Logits are the output map times a hidden state, so that the products of the map's rows with each other say which outputs
rise and fall together. A student learns to give its teacher's outputs, and its map comes to have the same likenesses,
whatever its width: as in representational similarity analysis (Kriegeskorte et al. 2008), those of one map are
correlated with those of the other. An output's own row is left out of its profile, since noise is like itself and
nothing else, and every output counts alike, where kernel alignment would hear the frequent ones alone. That outputs
give a network away is known from attacks on models behind an interface (Carlini et al. 2024, arXiv 2403.06634;
Finlayson et al. 2024, arXiv 2403.09539).

Training on the same data leaves much the same geometry, without any teacher: this names who the teacher was most
probably, if there was one, and never shows that there was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from graph_schema.labels import Basis, Relation
from lineage.conclusions import Conclusions
from lineage.derivations import METHOD
from lineage.spanning_tree import depths_of

OUTPUT_MAPS = ("head.weight", "score.weight", "classifier.weight", "embed.token.weight")
"""Where the output map is, the first that is there; embeddings serve where they are tied to it."""

LARGER = 1.1
"""A teacher has at least so many times the parameters of its student."""

ROUNDING = 1e-12

LEAST_OUTPUTS = 8
MOST_OUTPUTS = 128

LEAST_LEAD = 0.1
"""How much of what is left to perfect agreement lies between the best and the best of any other family."""

NAMED = 0.4
"""How sure the teacher is: 29 of 49 are named right on trained lakes (`benchmarks.edge_kinds`; of the rest many are not
named), in which every such model is a student; elsewhere many are not."""

COPIES = (Relation.QUANTIZED_FROM, Relation.PRUNED_FROM, Relation.REPARAMETRIZED_FROM)


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
    versions, k at most `MOST_OUTPUTS`.
    """
    edges = [item for conclusions in found for item in conclusions.derivations]
    copies = {item.child for item in edges if item.relation in COPIES}
    depths = depths_of({item.child: item.parents[0].id for item in edges})
    alone = [group[0] for group in groups if len(group) == 1]
    wanted = {(item.architecture, tensor.role) for item in alone if (tensor := _output_map(item)) is not None}
    family = {item.version: number for number, group in enumerate(groups) for item in group}
    candidates: dict[tuple[str, str], list[Fingerprint]] = {}
    for group in groups:
        for item in group:
            tensor = _output_map(item)
            if tensor is not None and item.version not in copies and (item.architecture, tensor.role) in wanted:
                candidates.setdefault((item.architecture, tensor.role), []).append(item)
    derivations = []
    for student in alone:
        tensor = _output_map(student)
        if tensor is None:
            continue
        larger = [
            item
            for item in candidates.get((student.architecture, tensor.role), ())
            if item.parameters >= LARGER * student.parameters
        ]
        edge = _taught(student, larger, family, depths)
        if edge is not None:
            derivations.append(edge)
    doubt = "no kin by its weights; if it was distilled, this is the likeliest teacher, but training on the same data "
    return Conclusions(
        derivations=tuple(derivations),
        doubts={item.child: doubt + "leaves the same trace" for item in derivations},
    )


def agreement(one: Fingerprint, two: Fingerprint) -> float | None:
    """How far two output maps agree on which outputs are like which, over the outputs that both fingerprints hold.

    Returns
    -------
    float in [-1, 1] or None
        Mean over the outputs of the correlation between their cosines to all others in the one map and in the other: 1
        for the same geometry, whatever the widths and however the hidden units are turned. None where fewer than
        `LEAST_OUTPUTS` outputs are shared, or nothing is there to compare.

    Notes
    -----
    Of wide maps a sample of the hidden units is held, on which the cosines are estimates. Time O(k^2 width).
    """
    mine, theirs = _output_map(one), _output_map(two)
    if mine is None or theirs is None:
        return None
    shared, first, second = np.intersect1d(mine.rows, theirs.rows, assume_unique=True, return_indices=True)
    if shared.size < LEAST_OUTPUTS:
        return None
    profiles = [_profiles(item.block[kept[:MOST_OUTPUTS]]) for item, kept in ((mine, first), (theirs, second))]
    products = np.einsum("rc,rc->r", profiles[0], profiles[1])
    told = profiles[0].any(axis=1) & profiles[1].any(axis=1)
    return float(products[told].mean()) if told.any() else None


def _profiles(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each output its cosines to all others, centred and of unit length; zero where they are all equal."""
    # What is added to all logits alike changes no output.
    values = np.nan_to_num(rows.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    values -= values.mean(axis=0)
    values = _scaled(values)
    cosines = values @ values.T
    count = len(cosines)
    others = cosines[~np.eye(count, dtype=bool)].reshape(count, count - 1)
    others -= others.mean(axis=1, keepdims=True)
    return _scaled(others)


def _scaled(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > ROUNDING)
    return scaled


def _output_map(fingerprint: Fingerprint) -> TensorFingerprint | None:
    held = {tensor.role: tensor for tensor in fingerprint.tensors if tensor.role in OUTPUT_MAPS}
    first = next((held[role] for role in OUTPUT_MAPS if role in held), None)
    return first if first is not None and len(first.shape) == 2 and first.block.size else None


def _taught(
    student: Fingerprint, larger: Sequence[Fingerprint], family: Mapping[str, int], depths: Mapping[str, int]
) -> Derivation | None:
    scores = [(found, item.version) for item in larger if (found := agreement(student, item)) is not None]
    # What was trained with its output map frozen agrees as well as what it was trained from.
    scores.sort(key=lambda item: (-round(item[0], 12), depths.get(item[1], 0), item[1]))
    if not scores:
        return None
    best, teacher = scores[0]
    others = [found for found, version in scores if family[version] != family[teacher]]
    # Without another family to hold it against, an agreement says nothing.
    if not others or max(others) > best - LEAST_LEAD * (1 - best):
        return None
    return Derivation(
        child=student.version,
        parents=(Parent(id=teacher),),
        relation=Relation.DISTILLED_FROM,
        basis=Basis.INFERRED,
        confidence=NAMED,
        method=f"{METHOD} output geometry",
        summary="no weight of it is from here, but its outputs lie to each other as those of this version do",
        observations=(
            Observation(
                kind="output_geometry",
                statement=f"which of its outputs are like which agrees with this version by {best:.3f}, and with the "
                f"nearest other family by {max(others):.3f}; training on the same data leaves this trace "
                "as well",
                value=best,
                log_odds=float(np.log(NAMED / (1 - NAMED))),
                method="students.agreement",
            ),
        ),
        runner_up=scores[1][1] if len(scores) > 1 else None,
    )
