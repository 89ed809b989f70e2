"""The cues of direction of one edge, weighed: what each says, in log-odds, and their sum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graph_schema.derivation import Observation
from graph_schema.fingerprint import Fingerprint
from lineage.alignment import largest_samples, tensor_pairs
from lineage.batch_clock import COUNTED, came_first
from lineage.calibration import Calibration
from lineage.direction import Reading, changes, decay_clock, grid_lost, growth, row_growth
from lineage.measured_roles import clear_roles
from lineage.rules.expansion import layer_count, repeats_layers
from lineage.rules.traits import Traits, traits
from lineage.weight_decay import UNKNOWN, Decay

GROWTH_BOUND = 2.0
SCALE_CHANGE = 5.0
"""Growths up to the one were seen in steps away; from the other on, decay explains them better."""

MOST_ERRORS = 2.0
"""Standard errors that a change of scale must lie from zero to be one."""

ROWS_BOUND = 2.0
SPREAD = 0.5
"""How far the figures of two relatives may lie from zero: what is less certain than this is drawn to zero."""

NOTHING = Reading(value=0.0, error=0.0)
LEAST_GRID = 0.02

LEAST_DECAY, SURE_DECAY = 1.0, 10.0
"""Standard errors from which on a decay is worth a word, and from which on it is as sure as it gets."""

READ = 32
READ_SIDE = 256

LOSSY_IS_LEAF = 5.0
"""Log-odds for a quantised or pruned version not being a parent: 99.41 % of the quantised models of a hub are leaves
(Horwitz et al. 2025, arXiv 2503.10633)."""

FEWER_LAYERS = 3.0
"""Log-odds for the deeper of two trained versions being the parent: students start from a teacher's layers, while what
is grown and then trained on is rare, and is a rule's to find before the training."""


TASK_HEADS = ("score.", "classifier.", "classification_head.", "qa_outputs.", "pre_classifier.")
TASK_HEAD = 3.0
"""Log-odds for the version with a head for a task being the child of one without."""

REPEATED_LAYERS = 8.0
"""Log-odds for the deeper version being the child where some of its layers are kin to each other: it was grown by
repeating layers, which no training from random weights does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeCues:
    """What speaks for the first of two neighbours being the parent.

    Attributes
    ----------
    growth, rows : Reading or None
        See `lineage.direction.growth` and `row_growth`.
    decay : Decay
        See `lineage.weight_decay`.
    clock : float or None
        See `lineage.direction.decay_clock`.
    clock_rows : int
    grid : float or None
        See `lineage.direction.grid_lost`.
    batches : (int, int) or None
        How many batches the two have counted, where that tells which is older.
    features : mapping of str to float
        The figures that fitted weights multiply.
    priors : tuple of (str, float)
        Log-odds of what is known of how models are made, whatever the fitted weights.
    parts : tuple of (str, float)
        Log-odds of each cue that spoke; empty before the cues are `weighed`.
    """

    growth: Reading | None
    rows: Reading | None
    decay: Decay
    clock: float | None
    clock_rows: int
    grid: float | None
    batches: tuple[int, int] | None
    features: Mapping[str, float]
    priors: tuple[tuple[str, float], ...]
    parts: tuple[tuple[str, float], ...] = ()

    def weighed(self, calibration: Calibration) -> EdgeCues:
        """The same cues with what each is worth."""
        fitted = [(name, getattr(calibration, name) * value) for name, value in self.features.items() if value]
        return replace(self, parts=(*fitted, *self.priors))

    @property
    def log_odds(self) -> float:
        """Their sum."""
        return sum(value for _, value in self.parts)

    def reversed(self) -> EdgeCues:
        """The same cues for the second being the parent."""
        return replace(
            self,
            growth=None if self.growth is None else self.growth.reversed(),
            rows=None if self.rows is None else self.rows.reversed(),
            decay=self.decay.reversed(),
            clock=None if self.clock is None else -self.clock,
            grid=None if self.grid is None else -self.grid,
            batches=None if self.batches is None else self.batches[::-1],
            features={name: -value for name, value in self.features.items()},
            priors=tuple((name, -value) for name, value in self.priors),
            parts=tuple((name, -value) for name, value in self.parts),
        )

    def observations(self) -> tuple[Observation, ...]:
        """One observation a cue that spoke."""
        grown, rows = self.growth or NOTHING, self.rows or NOTHING
        counted = self.batches or (0, 0)
        words = {
            "growth": f"the squared norms grew by {grown.value:+.2f} of the squared distance, give or take "
            f"{grown.error:.2f} (a step away adds about 1, one back takes about 1)",
            "row_growth": f"rows that moved more also grew more (slope {rows.value:+.2f}, give or take "
            f"{rows.error:.2f}; positive for a step away), whatever the decay of weights",
            "decay": "in the directions that training leaves alone the weights shrank by "
            f"{100 * self.decay.value:.3f} %, give or take {100 * self.decay.error:.3f} %: the decay of weights",
            "clock": f"{self.clock_rows} rows that no example touched all shrank by the same factor, "
            f"{np.exp(-(self.clock or 0)):.6f}: the decay of weights ran from parent to child",
            "grid": f"{abs(self.grid or 0):.1%} of the values lie on a 16-bit grid in the "
            f"{'parent' if (self.grid or 0) > 0 else 'child'} alone: training destroys a grid",
            "batches": f"batch normalisation has counted {counted[0]:,} batches in the parent and {counted[1]:,} in "
            "the child: the count runs on in training",
            "layers": "the parent has more layers: a student that started from some of its teacher's",
            "repeated_layers": "layers of the deeper one are kin to each other: it was grown by repeating layers",
            "lossy": "the child alone is quantised or pruned, and such copies are hardly ever trained on",
            "task_head": "one has a head for a task where the other has none or that of its first training: heads for "
            "tasks are put on trained models",
        }
        values = {
            "growth": grown.value,
            "clock": self.clock,
            "grid": self.grid,
            "row_growth": rows.value,
            "decay": self.decay.value,
        }
        return tuple(
            Observation(
                kind=name, statement=words[name], value=values.get(name), log_odds=part, method=f"direction.{name}"
            )
            for name, part in self.parts
        )


def edge_cues(
    first: Fingerprint,
    second: Fingerprint,
    signs: tuple[Traits, Traits] | None = None,
    decay: Decay = UNKNOWN,
    blurred: Collection[str] = (),
) -> EdgeCues:
    """All cues of direction between two neighbours, positive for `first` being the parent; not weighed yet.

    Parameters
    ----------
    first, second : Fingerprint
        The matrices with the largest samples are looked at, `READ` at most, and the embeddings.
    signs : (Traits, Traits), optional
        Of the two, if they are known.
    decay : Decay
        By how much more than the first the second decayed.
    blurred : collection of str
        Roles whose scales are estimates: not looked at where enough others are there, and changed.
    """
    large = {tensor.role for tensor in largest_samples(first, READ, side=READ_SIDE)}
    embeddings = {tensor.role for tensor in first.tensors if tensor.role.startswith("embed")}
    pairs = tuple(tensor_pairs(first, second, roles=clear_roles(large - embeddings, blurred) | embeddings))
    changed = changes(pairs)
    if not changed and blurred:
        pairs = tuple(tensor_pairs(first, second, roles=large | embeddings))
        changed = changes(pairs)
    grown, rows, clock, grid = growth(changed), row_growth(changed), decay_clock(pairs), grid_lost(pairs)
    features = {
        "growth": 0.0 if grown is None else bounded_growth(grown),
        "row_growth": 0.0 if rows is None else float(np.clip(rows.shrunk(SPREAD), -ROWS_BOUND, ROWS_BOUND)),
        "decay": float(np.clip(decay.score / SURE_DECAY, -1.0, 1.0)) if abs(decay.score) >= LEAST_DECAY else 0.0,
        "clock": 0.0 if clock is None else float(np.sign(clock[0])),
        "grid": 0.0 if grid is None or abs(grid) < LEAST_GRID else float(np.sign(grid)),
    }
    return EdgeCues(
        growth=grown,
        rows=rows,
        decay=decay,
        clock=None if clock is None else clock[0],
        clock_rows=0 if clock is None else clock[1],
        grid=grid,
        batches=(first.batches or 0, second.batches or 0) if came_first(first, second) else None,
        features=features,
        priors=_priors(first, second, signs or (traits(first), traits(second))),
    )


def _priors(first: Fingerprint, second: Fingerprint, signs: tuple[Traits, Traits]) -> tuple[tuple[str, float], ...]:
    """What is known of how models are made, whatever the values: not fitted."""
    parts = []
    lossy = int(signs[1].lossy) - int(signs[0].lossy)
    if lossy:
        parts.append(("lossy", LOSSY_IS_LEAF * lossy))
    deeper = float(np.sign(layer_count(first) - layer_count(second)))
    if deeper and repeats_layers(first if deeper > 0 else second):
        parts.append(("repeated_layers", -REPEATED_LAYERS * deeper))
    elif deeper:
        parts.append(("layers", FEWER_LAYERS * deeper))
    older = came_first(first, second)
    if older:
        parts.append(("batches", COUNTED * older))
    tasked = int(_has_task_head(second)) - int(_has_task_head(first))
    if tasked:
        parts.append(("task_head", TASK_HEAD * tasked))
    return tuple(parts)


def _has_task_head(fingerprint: Fingerprint) -> bool:
    return any(tensor.role.startswith(TASK_HEADS) for tensor in fingerprint.tensors)


def bounded_growth(grown: Reading) -> float:
    """The growth that counts: bounded, and turned round where it is beyond any step away.

    Where squared norms changed by many times the squared distance, the two versions differ by a scale for the most
    part; weights decay in training, they are not blown up, so that the smaller one is the younger. Between the two a
    figure can be either, and counts the less the farther it lies beyond `GROWTH_BOUND`. Such a change that may be none,
    by its error, says nothing.

    Examples
    --------
    >>> [bounded_growth(Reading(value=value, error=0.0)) for value in (0.8, -3.5, 5.0, -70.0)]
    [0.8, -1.0, 0.0, 1.0]
    >>> bounded_growth(Reading(value=-12.0, error=9.0))
    0.0
    """
    size = abs(grown.value)
    if SCALE_CHANGE < size <= MOST_ERRORS * grown.error:
        return 0.0
    if size > GROWTH_BOUND:
        beyond = GROWTH_BOUND * (SCALE_CHANGE - size) / (SCALE_CHANGE - GROWTH_BOUND)
        shrunk = Reading(value=max(beyond, -1.0), error=grown.error * (size < SCALE_CHANGE)).shrunk(SPREAD)
        return float(np.sign(grown.value)) * shrunk
    return grown.shrunk(SPREAD)


def node_angles(
    edges: Sequence[tuple[int, int]], vectors: NDArray[np.float64], calibration: Calibration
) -> dict[tuple[int, int], float]:
    """Log-odds, from the angles at each node, for each of its neighbours being its parent.

    The change to the parent is obtuse to the changes to the children; those are acute to each other. The mean cosine of
    one neighbour to the others is what counts, by up to four of them: they are not independent.

    Returns
    -------
    dict of (node, neighbour) to float
        Only nodes with at least two neighbours; both ends of every edge.
    """
    around: dict[int, list[int]] = {}
    for one, two in edges:
        around.setdefault(one, []).append(two)
        around.setdefault(two, []).append(one)
    scores = {}
    for node, others in around.items():
        if len(others) < 2 or vectors.shape[1] == 0:
            continue
        changes = np.nan_to_num(vectors[others] - vectors[node])
        norms = np.linalg.norm(changes, axis=1, keepdims=True)
        unit = changes / np.where(norms > 0, norms, 1.0)
        towards = unit @ unit.sum(axis=0) - (norms[:, 0] > 0)
        mean = towards / (len(others) - 1)
        weight = calibration.angle * min(len(others) - 1, 4)
        for place, neighbour in enumerate(others):
            scores[node, neighbour] = float(-weight * mean[place])
    return scores
