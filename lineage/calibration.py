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


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Fitted numbers.

    Attributes
    ----------
    link_sharpness : float
        Exponent that turns a squared tail distance into the weight of a link: how much rarer a wrong neighbour is when
        it lies farther away.
    growth, row_growth, clock, grid, angle : float
        Log-odds for a direction per unit of each cue of `lineage.direction` (the clock and the grid as signs).
    shape : float
        Weight of the prior of being the root that the shape of a tree gives (`lineage.spanning_tree.shape_prior`).
    slope, intercept : float
        Platt scaling of the final probability: the log-odds are multiplied and shifted (Platt 1999).
    """

    link_sharpness: float
    growth: float
    row_growth: float
    clock: float
    grid: float
    angle: float
    shape: float
    slope: float
    intercept: float

    def calibrated(self, probability: float) -> float:
        """The probability, scaled.

        Examples
        --------
        >>> unchanged = Calibration(
        ...     link_sharpness=8, growth=1, row_growth=1, clock=1, grid=1, angle=1, shape=1, slope=1, intercept=0
        ... )
        >>> round(unchanged.calibrated(0.8), 6)
        0.8
        """
        bounded = min(max(probability, 1e-9), 1 - 1e-9)
        odds = self.slope * log(bounded / (1 - bounded)) + self.intercept
        return 1 / (1 + exp(-min(max(odds, -30.0), 30.0)))


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
        raise FormatError(f"no calibration: {error}", where=where, remedy="make it anew with make calibrate") from error
