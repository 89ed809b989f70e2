"""Which matrices of a family are measured: the inner ones with the largest samples, a bounded number of them.

The topology among fine-tunes needs blocks larger than the rank of what training taught, and a few such blocks carry it
for a model of any size; small blocks add noise, and more large ones add time alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import spread_places

LEAST_SIDE = 4
LEAST_AREA = 0.2
"""Blocks smaller than this share of the largest are left out."""

LEAST_CLEAR = 2
"""Matrices of certain scale that must be there for the others to be left out."""

MOST_WORK = 4 * 2.0 * 256**3
"""Multiplications that weighing one link may take: four blocks of 256 x 256."""


def link_cost(rows: int, columns: int) -> float:
    """Multiplications of one tail distance: a Gram matrix and its eigenvalues."""
    side = min(rows, columns)
    return float(rows * columns * side + side**3)


def measured_roles(fingerprints: Sequence[Fingerprint], blurred: Collection[str] = ()) -> dict[str, float]:
    """The roles by which the members of a family are compared, sorted, each with its `link_cost`.

    Embeddings, heads and vectors are left out: their rows are touched as often as their tokens occur. Where a family
    has nothing else, all matrices are taken.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    blurred : collection of str
        Roles whose scales are estimates in some member: left out where most others are not.

    Returns
    -------
    dict of str to float
        Roles that at least two members hold, with blocks of at least `LEAST_AREA` of the largest, evenly spread over
        the layers where all together would cost more than `MOST_WORK`. A member that has none of them brings in the
        largest of its own.
    """
    shapes: dict[str, tuple[int, int]] = {}
    holders: Counter[str] = Counter()
    held: list[set[str]] = []
    for fingerprint in fingerprints:
        own = set()
        for tensor in fingerprint.tensors:
            if len(tensor.shape) < 2 or min(tensor.block.shape) < LEAST_SIDE:
                continue
            own.add(tensor.role)
            known = shapes.get(tensor.role, (0, 0))
            shapes[tensor.role] = max(known, tensor.block.shape, key=lambda shape: shape[0] * shape[1])
        holders.update(own)
        held.append(own)
    shared = {role for role, count in holders.items() if count > 1}
    inner = inner_roles(shared) or shared
    if not inner:
        return {}
    area = {role: shapes[role][0] * shapes[role][1] for role in inner}
    large = sorted(role for role in inner if area[role] >= LEAST_AREA * max(area.values()))
    clear = [role for role in large if role not in blurred]
    if len(clear) > len(large) / 2:
        large = clear
    chosen = set(_spread(large, [link_cost(*shapes[role]) for role in large]))
    for own in held:
        # A version that is an embedding alone is compared by that.
        if own & shared and not own & chosen:
            chosen.add(min(own & inner or own & shared, key=lambda role: (-shapes[role][0] * shapes[role][1], role)))
    return {role: link_cost(*shapes[role]) for role in sorted(chosen)}


def inner_roles(roles: Collection[str]) -> set[str]:
    """Those of some roles that belong to no embedding and no head.

    Examples
    --------
    >>> inner_roles(["embed.token.weight", "layers.0.mlp.up.weight"])
    {'layers.0.mlp.up.weight'}
    """
    return {role for role in roles if not role.startswith(("embed", "head"))}


def clear_roles(roles: Collection[str], blurred: Collection[str]) -> set[str]:
    """The matrices among some roles that are of certain scale, where there are at least `LEAST_CLEAR`; else all.

    A scale that was estimated unit by unit is wrong by what was learned along the weights of that unit, divided by its
    number of values. That is little of the change, and much more than its tail.

    Examples
    --------
    >>> sorted(clear_roles({"a", "b", "c"}, {"b"})), sorted(clear_roles({"a", "b"}, {"b"}))
    (['a', 'c'], ['a', 'b'])
    """
    clear = set(roles) - set(blurred)
    return clear if len(clear) >= LEAST_CLEAR else set(roles)


def clear_tensors(fingerprints: Sequence[Fingerprint], blurred: Collection[str]) -> tuple[Fingerprint, ...]:
    """The same versions without the tensors whose scales are estimates, if enough matrices are left of each.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    blurred : collection of str
        Roles.

    Returns
    -------
    tuple of Fingerprint
        A version of which less than `LEAST_CLEAR` matrices would be left is the one that was given.
    """
    found = []
    for item in fingerprints:
        matrices = {tensor.role for tensor in item.tensors if len(tensor.shape) > 1}
        if blurred and len(matrices - set(blurred)) >= LEAST_CLEAR:
            item = replace(item, tensors=tuple(tensor for tensor in item.tensors if tensor.role not in blurred))
        found.append(item)
    return tuple(found)


def _spread(roles: Sequence[str], costs: Sequence[float]) -> list[str]:
    """All roles if they are cheap enough, else as many as are, evenly spread."""
    if sum(costs) <= MOST_WORK:
        return list(roles)
    count = max(1, int(MOST_WORK / (sum(costs) / len(costs))))
    return [roles[place] for place in spread_places(len(roles), count)]
