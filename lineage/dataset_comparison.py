"""Two states of data held against each other: rows, columns, and what was added, removed or changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from graph_schema.row_sketch import ColumnSketch, DatasetSketch
from lineage.row_overlap import Share, containment, distinct, relative_error, similarity

MANY_VALUES = 16
"""Distinct values from which an equal column is no accident."""

_NEARLY_UNIQUE = 0.97
_MOST_KEYS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the sketches of two states of data show.

    Attributes
    ----------
    same_rows : bool
        Whether both have the same rows, equally often, in whatever order and form.
    forward, backward : Share
        Share of the first one's rows that are in the second, and the other way round.
    alike : Share
        Jaccard's similarity.
    equal_columns : tuple of str
        Columns of one name with the same values, equally often, in both; those with fewer than `MANY_VALUES` left out.
    added_columns, removed_columns : tuple of str
        Names of the first alone, and of the second alone: the first is taken for the newer.
    key : str or None
        A column that tells the rows of both apart.
    key_share : Share or None
        Share of the second one's keys that are in the first.
    """

    same_rows: bool
    forward: Share
    backward: Share
    alike: Share
    equal_columns: tuple[str, ...] = ()
    added_columns: tuple[str, ...] = ()
    removed_columns: tuple[str, ...] = ()
    key: str | None = None
    key_share: Share | None = None

    @property
    def kin(self) -> bool:
        """Whether they share rows, a whole column, or most of the keys of their rows."""
        keys = self.key_share is not None and self.key_share.value >= _MOST_KEYS
        return self.same_rows or self.alike.hits > 0 or bool(self.equal_columns) or keys


def compare(newer: DatasetSketch, older: DatasetSketch) -> Comparison:
    """Hold two states of data against each other; O(k log k) time a column."""
    new, old = ({column.name: column for column in item.columns} for item in (newer, older))
    shared = sorted(new.keys() & old.keys())
    key = _key(newer, older, new, old, shared)
    return Comparison(
        same_rows=(newer.rows, newer.multiset) == (older.rows, older.multiset) and newer.rows > 0,
        forward=containment(newer.distinct, older.distinct),
        backward=containment(older.distinct, newer.distinct),
        alike=similarity(newer.distinct, older.distinct),
        equal_columns=tuple(name for name in shared if telling(new[name]) and _equal(new[name], old[name])),
        added_columns=tuple(sorted(new.keys() - old.keys())),
        removed_columns=tuple(sorted(old.keys() - new.keys())),
        key=key,
        key_share=None if key is None else containment(old[key].distinct, new[key].distinct),
    )


def telling(column: ColumnSketch) -> bool:
    """Whether a column has so many values that an equal one is no accident."""
    return len(column.distinct.hashes) >= MANY_VALUES


def changes(newer: DatasetSketch, older: DatasetSketch, found: Comparison) -> str:
    """What became of the older state's rows and columns, in words; numbers that are estimates say "about".

    Rows count as changed where a column tells the rows apart: of those with a key of both states, the ones that are not
    in both. Where the estimates of keys and of rows do not differ by more than their error, it stays open whether a row
    was removed or changed. With a column added, removed or renamed every row is another, and only the columns and the
    keys are spoken of.
    """
    if found.same_rows:
        return "the same rows"
    parts: list[str] = []
    reshaped = bool(found.added_columns or found.removed_columns)
    if not reshaped or found.key_share is not None:
        parts += _row_changes(newer, older, found, reshaped=reshaped)
    for word, names in (("added", found.added_columns), ("removed", found.removed_columns)):
        if names:
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            parts.append(f"{'columns' if len(names) > 1 else 'column'} {shown} {word}")
    return "; ".join(parts) or "the same distinct rows, repeated otherwise"


def shared_splits(sketch: DatasetSketch) -> tuple[tuple[str, str, Share], ...]:
    """Which splits of one state of data share rows: each pair with the share of the first one's rows in the second.

    Splits that train are the second of a pair: what is asked is how much of a test they give away.
    """
    found = []
    for one, other in permutations(sketch.splits, 2):
        share = containment(one.distinct, other.distinct)
        if share.hits and one.name != "train" and (other.name == "train" or one.name < other.name):
            found.append((one.name, other.name, share))
    return tuple(found)


def _row_changes(newer: DatasetSketch, older: DatasetSketch, found: Comparison, *, reshaped: bool) -> Iterator[str]:
    exact = found.backward.exact and found.forward.exact
    keys = found.key_share
    # With a key every row is distinct, and counted exactly.
    whole_old = older.rows if keys is not None else distinct(older.distinct)
    whole_new = newer.rows if keys is not None else distinct(newer.distinct)
    common = found.backward.value * whole_old
    kept, lost = common, "removed"
    if keys is not None:
        exact = exact and keys.exact
        told_apart = reshaped or keys.exact or keys.low * whole_old > common or keys.high * whole_old < common
        if told_apart:
            kept = keys.value * whole_old if reshaped else max(keys.value * whole_old, common)
        else:
            lost = "removed or changed"
    changed = 0.0 if reshaped else kept - common
    for number, word in ((whole_new - kept, "added"), (whole_old - kept, lost), (changed, "changed")):
        if round(number) > 0:
            yield f"{'' if exact else 'about '}{round(number)} rows {word}"


def _equal(one: ColumnSketch, other: ColumnSketch) -> bool:
    return (one.values, one.multiset) == (other.values, other.multiset)


def _key(
    newer: DatasetSketch,
    older: DatasetSketch,
    new: dict[str, ColumnSketch],
    old: dict[str, ColumnSketch],
    shared: list[str],
) -> str | None:
    """Of the columns that tell the rows of both apart, the one with most values in both; the first by name on a tie."""
    keys = [name for name in shared if _unique(new[name], newer.rows) and _unique(old[name], older.rows)]
    if not keys:
        return None
    return min(keys, key=lambda name: (-containment(old[name].distinct, new[name].distinct).value, name))


def _unique(column: ColumnSketch, rows: int) -> bool:
    if column.values < rows or not rows:
        return False
    if column.distinct.complete:
        return len(column.distinct.hashes) == rows
    # Two standard deviations of the estimate from all distinct; a column with repetitions lies far below.
    return distinct(column.distinct) >= _NEARLY_UNIQUE * rows * (1 - 2 * relative_error(column.distinct))
