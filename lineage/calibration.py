"""What each cue is worth: the few fitted numbers of the inference, in a data file that a command makes.

The file `calibration.json` beside this module holds the numbers, and the seeds of the lakes they were fitted on, so
that no lake is ever scored with numbers it helped to fit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from math import exp, log

from graph_schema.errors import FormatError

LEAST_NEIGHBOURS = 1e-2
LEAST_FORWARD = 1e-6
"""Where the probabilities of the two questions behind an edge end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Fitted numbers.

    Attributes
    ----------
    link_sharpness : float
        Exponent that turns a squared tail distance into the weight of a link: how much rarer a wrong neighbour is when
        it lies farther away.
    growth, row_growth, decay, clock, grid, angle : float
        Log-odds for a direction per unit of each cue of `lineage.cues` (the clock and the grid as signs).
    shape : float
        Weight of the prior of being the root that the shape of a tree gives (`lineage.spanning_tree.shape_prior`).
    adapter_root, adapter_taken_back, adapter_paths : float
        Log-odds for a member of a family being the base of an adapter, per unit of what speaks for it
        (`lineage.adapter_bases`).
    neighbour_slope, neighbour_intercept, direction_slope : float
        Platt scaling (Platt 1999) of the two questions behind an edge, each by itself: whether the two are neighbours,
        and which of them came first.
    """

    link_sharpness: float
    growth: float
    row_growth: float
    decay: float
    clock: float
    grid: float
    angle: float
    shape: float
    adapter_root: float
    adapter_taken_back: float
    adapter_paths: float
    neighbour_slope: float
    neighbour_intercept: float
    direction_slope: float

    def calibrated(self, neighbours: float, forward: float) -> float:
        """The probability of an edge.

        Parameters
        ----------
        neighbours : float in [0, 1]
            That the two are neighbours. Distances tell no more than a hundred to one either way.
        forward : float in [0, 1]
            That the edge points this way, given that they are.

        Examples
        --------
        >>> from dataclasses import replace
        >>> plain = replace(default_calibration(), neighbour_slope=1, neighbour_intercept=0, direction_slope=1)
        >>> round(plain.calibrated(0.9, 0.8), 6)
        0.72
        """
        near = self.neighbour_slope * log_odds(neighbours, least=LEAST_NEIGHBOURS) + self.neighbour_intercept
        first = self.direction_slope * log_odds(forward, least=LEAST_FORWARD)
        return 1 / (1 + exp(-near)) / (1 + exp(-first))


def log_odds(probability: float, *, least: float) -> float:
    """Logarithm of the odds of a probability that is kept from 0 and 1 by `least`."""
    bounded = min(max(probability, least), 1 - least)
    return log(bounded / (1 - bounded))


@cache
def default_calibration() -> Calibration:
    """The numbers that ship with the project."""
    text = resources.files("lineage").joinpath("calibration.json").read_text(encoding="utf-8")
    return read_calibration(text, where="calibration.json")


def read_calibration(text: str, *, where: str) -> Calibration:
    """Numbers from the text of a calibration file.

    Raises
    ------
    FormatError
        If it is no JSON object with a finite number for every field.
    """
    try:
        content = json.loads(text)
        return Calibration(**{item.name: float(content[item.name]) for item in fields(Calibration)})
    except (ValueError, TypeError, KeyError) as error:
        remedy = "make it anew with python -m benchmarks.calibrate"
        raise FormatError(f"no calibration: {error}", where=where, remedy=remedy) from error
