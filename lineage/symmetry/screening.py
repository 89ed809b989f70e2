"""Which members of a family have their units in the same places: a cheap look before anything is aligned.

Two members are of one frame if the coupled tensors agree unit by unit. Each unit of a thinned block is compared with
the same unit of the frame's centre by the cosine between them; and no rescaling of units may explain most of the
difference.
A far relative may fail the look as well: then it is aligned in vain and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.alignment import RoleStack, role_stack
from lineage.symmetry.couplings import symmetries_of

SIDE = 32
LEAST_COSINE = 0.35
MOST_STRANGE = 0.03
LEAST_SHARE = 0.7
SURE = 6.0
"""Standard deviations by which lengths have to explain more of what lies between two members than by chance."""

ROUNDING = 1e-10

ROLES = 24
"""Roles that are looked at together."""


def frames(fingerprints: Sequence[Fingerprint], correlation: NDArray[np.float64]) -> list[list[int]]:
    """Members of a family by frame, each frame's centre first and the rest ascending.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Sorted by id.
    correlation : (n, n) array
        Mean correlation of the members, `lineage.relatedness.Kinship.correlation`: a centre is the one nearest to all
        that are left.

    Notes
    -----
    One pass over the thinned blocks a frame: linear in the members where nothing was laundered. What is in no frame is
    mostly found so in the first role.
    """
    roles = _coupled_roles(fingerprints)
    held = _held(fingerprints, roles)
    left = list(range(len(fingerprints)))
    found = []
    while left:
        centre = left[int(np.argmax(np.round(correlation[np.ix_(left, left)].sum(axis=1), 9)))]
        agree = _agreeing(held, centre, left, roles)
        found.append([centre, *(member for member in left if member in agree and member != centre)])
        left = [member for member in left if member not in agree]
    return found


def in_one_frame(fingerprints: Sequence[Fingerprint]) -> bool:
    """Whether all members of a family agree with one that has most, which makes a frame whoever is its centre.

    Notes
    -----
    One pass over the thinned blocks. Where far relatives fail the look at each other, or have nothing to look at, the
    answer is no: the centre of all may agree with both.
    """
    roles = _coupled_roles(fingerprints)
    held = _held(fingerprints, roles)
    everyone = range(len(held))
    centre = max(everyone, key=lambda member: (len(held[member]), -member))
    shapes = {role: tensor.shape for role, tensor in held[centre].items()}
    seen = (any(shapes.get(role) == tensor.shape for role, tensor in own.items()) for own in held)
    return all(seen) and len(_agreeing(held, centre, everyone, roles)) == len(held)


def _held(
    fingerprints: Sequence[Fingerprint], roles: Mapping[str, frozenset[int]]
) -> list[dict[str, TensorFingerprint]]:
    """Of each member the matrices that are looked at."""
    return [
        {
            tensor.role: tensor
            for tensor in item.tensors
            if tensor.role in roles and tensor.block.size and len(tensor.shape) >= 2
        }
        for item in fingerprints
    ]


def _coupled_roles(fingerprints: Sequence[Fingerprint]) -> dict[str, frozenset[int]]:
    """Matrices with units on their rows (0) or columns (1), in any member."""
    found: dict[str, frozenset[int]] = {}
    seen = set()
    for item in fingerprints:
        shapes = {tensor.role: tensor.shape for tensor in item.tensors}
        key = (item.architecture, tuple(shapes.items()))
        if key not in seen:
            seen.add(key)
            known = symmetries_of(item.architecture, shapes)
            # The rows of a head drift together as it is trained, which looks like a rescaling of its columns.
            inside = {slot.role for coupling in known.couplings for slot in coupling.slots}
            for slot in (slot for coupling in known.all for slot in coupling.slots if slot.role in inside):
                found[slot.role] = found.get(slot.role, frozenset()) | {slot.axis}
    return found


def _agreeing(
    held: Sequence[Mapping[str, TensorFingerprint]],
    centre: int,
    left: Sequence[int],
    roles: Mapping[str, frozenset[int]],
) -> set[int]:
    """The members of `left` that agree with the centre; what is strange in some roles is not looked at in the next."""
    agree = [centre, *(member for member in left if member != centre)]
    looked_at = sorted(role for role in roles if role in held[centre])
    for start in range(0, len(looked_at), ROLES):
        stacks: dict[tuple[frozenset[int], tuple[int, ...], bytes], list[RoleStack]] = {}
        for role in looked_at[start : start + ROLES]:
            holders = [(member, held[member][role]) for member in agree if role in held[member]]
            stack = role_stack(role, holders, side=SIDE)
            if stack is not None and stack.members[0] == centre and min(stack.blocks.shape[1:]) >= 2:
                key = roles[role], stack.blocks.shape, stack.members.tobytes()
                stacks.setdefault(key, []).append(stack)
        strange: set[int] = set()
        for (axes, *_), alike in stacks.items():
            blocks = np.stack([stack.blocks for stack in alike]).astype(np.float64)
            strange.update(alike[0].members[1:][_strange(blocks, axes).any(axis=0)].tolist())
        agree = [member for member in agree if member not in strange]
        if len(agree) < 2:
            break
    return set(agree)


def _strange(blocks: NDArray[np.float64], axes: frozenset[int]) -> NDArray[np.bool_]:
    """Whether units of each later member differ from the first's in direction, or mostly in length.

    Parameters
    ----------
    blocks : (r, k, s, t) array
        Several roles of the same members.
    axes : frozenset of int
        Where their units are.

    Returns
    -------
    (r, k - 1) bool array
    """
    centre, others = blocks[:, :1], blocks[:, 1:]
    flagged = np.zeros(others.shape[:2], dtype=bool)
    products, mine, theirs = others * centre, centre**2, others**2
    energy = mine.sum(axis=(2, 3))
    whole = theirs.sum(axis=(2, 3))
    overall = products.sum(axis=(2, 3))
    scale = overall / np.where(whole > 0, whole, 1.0)
    apart = energy - scale * overall
    for axis in sorted(axes):
        dots, lengths, own = (item.sum(axis=3 - axis) for item in (products, theirs, mine))
        alive = (lengths > 0) & (own > 0)
        cosines = dots / np.sqrt(np.where(alive, lengths * own, 1.0))
        strange = np.count_nonzero(alive & (cosines < LEAST_COSINE), axis=2)
        flagged |= strange > np.maximum(1, MOST_STRANGE * alive.sum(axis=2))
        rescaled = np.sum(own - np.where(alive, dots**2 / np.where(alive, lengths, 1.0), 0.0), axis=2)
        # Of a change at random a scale for each unit takes one part in as many as the unit has values, give or take
        # the root of two over the number of units that moved.
        moved = np.maximum(own - 2 * scale[..., None] * dots + scale[..., None] ** 2 * lengths, 0.0)
        squares = np.square(moved).sum(axis=2)
        units = np.square(moved.sum(axis=2)) / np.where(squares > 0, squares, 1.0)
        chance = (1 + SURE * np.sqrt(2 / np.maximum(units, 1.0))) / others.shape[3 - axis]
        flagged |= (apart > ROUNDING * energy) & (rescaled < np.minimum(LEAST_SHARE, 1 - chance) * apart)
    return flagged
