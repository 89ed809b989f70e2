"""What a merge rule answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A version made from several others by a formula.

    Attributes
    ----------
    members : tuple of int
        Positions of what went in, heaviest first.
    weights : tuple of float or None
        Coefficient of each; None where the method has none.
    roles : tuple of str
        `constituent`, or `base` for what task vectors start from.
    method : str
        `linear`, `task arithmetic`, `slerp`, `ties`, `dare` or `passthrough`.
    residual : float
        What the formula leaves unexplained: a share of the distance to the nearest member, or of the values.
    statement : str
        One sentence with the figures.
    """

    members: tuple[int, ...]
    weights: tuple[float | None, ...]
    roles: tuple[str, ...]
    method: str
    residual: float
    statement: str

    @property
    def complexity(self) -> tuple[bool, bool]:
        """How much it takes: whether a formula for each value, and whether a negative weight.

        Of collinear versions each explains the others. What has one formula for all values comes before what has
        several, and a mean before what needs a negative weight.
        """
        weights = [weight for weight in self.weights if weight is not None]
        return not weights, any(weight < 0 for weight in weights)
