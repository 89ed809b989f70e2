"""From sketches of data to relations between states of data: same rows, subset, overlap, revision."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise, product

import numpy as np
from scipy.sparse import csr_array

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.labels import Basis, Relation
from graph_schema.row_sketch import DatasetSketch, Hashes
from lineage.dataset_comparison import Comparison, changes, compare, telling
from lineage.row_overlap import Share, containment

LEAST_SHARE = 0.01
"""Share of either one's rows from which an overlap is kept."""

NEARLY_ALL = 0.9
"""A subset is as sure as it is that at least this share of its rows is in the other."""

TWIN_PAIRS = 64
"""Of two groups of states that hold the same rows each, every pair is related up to so many; else the first of each."""

METHOD = "row_sketch"

_AT_ONCE = 1 << 22
_SUCCESSION, _NO_KIN = 0.95, 0.5
_VERSIONED = re.compile(
    r"(?P<line>.*?[A-Za-z].*?)(?P<mark>[-_./ ]v(?:er(?:sion)?)?[-_. ]?)(?P<number>\d+(?:\.\d+)*)", re.S
)


def relate(sketches: Sequence[DatasetSketch], datasets: Mapping[str, Sequence[str]]) -> tuple[Derivation, ...]:
    """Relations between states of data, from their sketches alone.

    Parameters
    ----------
    sketches : sequence of DatasetSketch
        Each version once.
    datasets : mapping of str to sequence of str
        Ids of the versions of each dataset, oldest first.

    Returns
    -------
    tuple of Derivation
        Sorted by child, parent and relation:

        - `SAME_ROWS_AS`: the same rows, equally often; from the larger id to the smaller.
        - `SUBSET_OF`: every row of the child that was seen is in the parent, and not the other way round.
        - `OVERLAPS_WITH`: at least `LEAST_SHARE` of either one's rows is in the other, or they have equal columns; from
          the smaller set to the larger, on a tie from the larger id to the smaller.
        - `REVISED_FROM`: the next state of one dataset, or the next of a name that differs by the number of a version
          alone and shares rows or columns; from the newer to the older.

    Notes
    -----
    Pairs are found over the hashes that several sketches hold, so that strangers cost nothing; of sketches of the same
    rows, one is looked up. Time O(n k log(n k)) and the pairs that share rows; memory some 8 bytes a hash and
    200 MB.
    """
    known = {item.version: item for item in sorted(sketches, key=lambda item: item.version)}
    found: dict[tuple[str, str, Relation], Derivation] = {}

    def keep(derivation: Derivation) -> None:
        found.setdefault((derivation.child, derivation.parents[0].id, derivation.relation), derivation)

    representatives: dict[tuple[int, str], str] = {}
    for version, item in known.items():
        first = representatives.setdefault((item.rows, item.multiset), version)
        if first != version and item.rows:
            keep(_same(item, known[first], compare(item, known[first])))
    revised = set()
    for newer, older, named in _successions(datasets, known):
        comparison = compare(known[newer], known[older])
        if newer != older and (comparison.kin or not named):
            keep(_revision(known[newer], known[older], comparison, named))
            revised.add(frozenset((newer, older)))
    twins: defaultdict[str, list[DatasetSketch]] = defaultdict(list)
    for item in known.values():
        twins[representatives[item.rows, item.multiset]].append(item)
    for head, next_head in _candidates([members[0] for members in twins.values()]):
        pairs = list(product(twins[head.version], twins[next_head.version]))
        for one, other in pairs if len(pairs) <= TWIN_PAIRS else [(head, next_head)]:
            derivation = _overlap(one, other, revised=frozenset((one.version, other.version)) in revised)
            if derivation is not None:
                keep(derivation)
    return tuple(found[key] for key in sorted(found))


def _candidates(sketches: Sequence[DatasetSketch]) -> Iterator[tuple[DatasetSketch, DatasetSketch]]:
    pairs = {*_pairs_by_rows(sketches), *_pairs_by_columns(sketches)}
    return ((sketches[one], sketches[other]) for one, other in sorted(pairs))


def _pairs_by_rows(sketches: Sequence[DatasetSketch]) -> Iterator[tuple[int, int]]:
    """Pairs of sketches with a hash in common."""
    total = sum(len(item.distinct.hashes) for item in sketches)
    # By their lowest bits, which are as random as any: a share of the hashes at a time bounds the memory.
    shares = 1 << max(total // _AT_ONCE, 0).bit_length()
    for share in range(shares):
        mask, wanted = np.uint64(shares - 1), np.uint64(share)
        yield from _pairs_of([item.distinct.hashes[item.distinct.hashes & mask == wanted] for item in sketches])


def _pairs_of(parts: Sequence[Hashes]) -> Iterator[tuple[int, int]]:
    hashes = np.concatenate([np.zeros(0, np.uint64), *parts])
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    _, numbers, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    shared = counts[numbers] > 1
    if not shared.any():
        return
    _, columns = np.unique(numbers[shared], return_inverse=True)
    holds = csr_array(
        (np.ones(len(columns), np.int64), (owners[shared], columns)), shape=(len(parts), int(columns.max()) + 1)
    )
    rows, others = (holds @ holds.T).nonzero()
    yield from ((int(one), int(other)) for one, other in zip(rows, others, strict=True) if one < other)


def _pairs_by_columns(sketches: Sequence[DatasetSketch]) -> Iterator[tuple[int, int]]:
    """Pairs with an equal column that is no accident."""
    holders: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for place, item in enumerate(sketches):
        for column in item.columns:
            if telling(column):
                holders[column.name, column.multiset].append(place)
    for places in holders.values():
        yield from combinations(places, 2)


def _successions(
    datasets: Mapping[str, Sequence[str]], known: Mapping[str, DatasetSketch]
) -> Iterator[tuple[str, str, bool]]:
    """Pairs of a newer and an older version, and whether only their names say so."""
    lines: defaultdict[tuple[str, str], list[tuple[tuple[int, ...], str]]] = defaultdict(list)
    for name, versions in sorted(datasets.items()):
        present = [version for version in versions if version in known]
        yield from ((newer, older, False) for older, newer in pairwise(present))
        match = _VERSIONED.fullmatch(name)
        if match is not None and present:
            number = tuple(int(part[:9]) for part in match["number"].split("."))
            lines[match["line"], match["mark"]].append((number, present[-1]))
    for (line, _), members in lines.items():
        # The name without a number came before those with one.
        members += [((), version) for version in datasets.get(line, ())[-1:] if version in known]
    for members in lines.values():
        yield from ((newer[1], older[1], True) for older, newer in pairwise(sorted(members)))


def _same(one: DatasetSketch, other: DatasetSketch, found: Comparison) -> Derivation:
    return _derivation(
        Relation.SAME_ROWS_AS,
        one,
        other,
        confidence=1.0,
        share=found.forward,
        summary=f"the same {one.rows} rows, written otherwise",
        observations=(_seen("row_multiset", f"the multisets of {one.rows} rows have one digest", float(one.rows)),),
    )


def _revision(newer: DatasetSketch, older: DatasetSketch, found: Comparison, named: bool) -> Derivation:
    why = "the names differ by the number of a version alone" if named else "the next state of one dataset"
    observations = [_seen("succession", why, None), *_evidence(newer, older, found)]
    return _derivation(
        Relation.REVISED_FROM,
        newer,
        older,
        confidence=_SUCCESSION if found.kin else _NO_KIN,
        share=found.forward,
        summary=changes(newer, older, found) if found.kin else "no row and no column in common",
        observations=tuple(observations),
    )


def _overlap(one: DatasetSketch, other: DatasetSketch, *, revised: bool) -> Derivation | None:
    found = compare(one, other)
    # The set that lies more in the other is the child; on a tie the smaller one.
    if (found.forward.value, -one.rows, one.version) < (found.backward.value, -other.rows, other.version):
        one, other = other, one
        found = compare(one, other)
    inside, seen = found.forward, _evidence(one, other, found)
    shares = (
        f"{_stated(inside)} of the smaller one's rows are in the larger, "
        f"{_stated(found.backward)} of the larger one's in the smaller"
    )
    if inside.trials and inside.hits == inside.trials and found.backward.low != 1.0:
        return _derivation(
            Relation.SUBSET_OF,
            one,
            other,
            confidence=inside.at_least(NEARLY_ALL),
            share=inside,
            summary=shares,
            observations=seen,
        )
    if revised:
        return None
    if inside.hits and max(inside.value, found.backward.value) >= LEAST_SHARE:
        return _derivation(
            Relation.OVERLAPS_WITH,
            one,
            other,
            confidence=inside.at_least(LEAST_SHARE / 2),
            share=inside,
            summary=shares,
            observations=seen,
        )
    if found.equal_columns:
        return _derivation(
            Relation.OVERLAPS_WITH,
            one,
            other,
            confidence=_SUCCESSION,
            share=inside,
            summary="equal columns " + ", ".join(found.equal_columns[:5]) + ": " + changes(one, other, found),
            observations=seen,
        )
    return None


def _evidence(one: DatasetSketch, other: DatasetSketch, found: Comparison) -> tuple[Observation, ...]:
    inside, around = found.forward, found.backward
    seen = [
        _seen("containment", f"{_stated(inside)} of {one.rows} rows are in the other", inside.value),
        _seen("reverse_containment", f"{_stated(around)} of the other's {other.rows} rows are here", around.value),
        _seen("similarity", f"{_stated(found.alike)} of all rows are in both", found.alike.value),
    ]
    if found.equal_columns:
        listed = ", ".join(found.equal_columns[:8])
        seen.append(_seen("equal_columns", f"the same values in {listed}", float(len(found.equal_columns))))
    for word, names in (("added", found.added_columns), ("removed", found.removed_columns)):
        if names:
            seen.append(_seen(f"{word}_columns", f"columns {word}: {', '.join(names[:8])}", float(len(names))))
    if found.key is not None and found.key_share is not None:
        share = found.key_share
        seen.append(_seen("key", f"{_stated(share)} of the other's values of {found.key} are here", share.value))
    for split in other.splits:
        share = containment(split.distinct, one.distinct)
        if share.hits:
            said = f"{_stated(share)} of the other's split {split.name} ({split.rows} rows) are here"
            seen.append(_seen("split_containment", said, share.value, field=split.name))
    for split in one.splits:
        share = containment(split.distinct, other.distinct)
        if share.hits:
            said = f"{_stated(share)} of the split {split.name} ({split.rows} rows) are in the other"
            seen.append(_seen("split_contained", said, share.value, field=split.name))
    return tuple(seen)


def _stated(share: Share) -> str:
    if share.exact:
        return f"{share.value:.1%}"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}, {share.trials} seen)"


def _seen(kind: str, statement: str, value: float | None, field: str | None = None) -> Observation:
    return Observation(kind=kind, statement=statement, method=METHOD, value=value, field=field)


def _derivation(
    relation: Relation,
    child: DatasetSketch,
    parent: DatasetSketch,
    *,
    confidence: float,
    share: Share,
    summary: str,
    observations: Iterable[Observation],
) -> Derivation:
    return Derivation(
        child=child.version,
        parents=(Parent(id=parent.version, role="data"),),
        relation=relation,
        basis=Basis.INFERRED,
        confidence=confidence,
        method=METHOD,
        summary=summary,
        share=(share.value, share.low, share.high),
        observations=tuple(observations),
    )
