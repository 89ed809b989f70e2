"""Pruned: the child is the parent with some of its values set to zero."""

from __future__ import annotations

import numpy as np

from graph_schema.derivation import Observation
from graph_schema.labels import Relation
from lineage.rules.comparison import Comparison, Transformation

LEAST_SHARE = 0.02
METHOD = "survivors"


def pruned(comparison: Comparison) -> Transformation | None:
    """Whether every changed matrix of the child is the parent's with values zeroed and the others left alone.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Transformation or None
        With the share of values zeroed over the changed matrices, and whether whole rows or columns went (structured).

    Notes
    -----
    A value that survives to the bit beside others that are zero leaves no doubt about the direction: what was zeroed
    cannot be brought back. At least 2 % of the sampled values must have gone, and 99.9 % of the others have survived.
    """
    gone = kept = survived = rows_gone = rows = 0
    for pair in comparison.changed_matrices:
        zeroed = (pair.second == 0) & (pair.first != 0)
        standing = pair.second != 0
        gone += int(zeroed.sum())
        kept += int(standing.sum())
        survived += int((pair.first[standing] == pair.second[standing]).sum())
        rows_gone += int(zeroed.all(axis=1).sum()) + int(zeroed.all(axis=0).sum())
        rows += sum(zeroed.shape)
    if gone < LEAST_SHARE * (gone + kept) or gone == 0 or survived < 0.999 * max(kept, 1):
        return None
    share = gone / (gone + kept)
    structured = rows_gone >= 0.02 * rows
    kind = "structured" if structured else "unstructured"
    return Transformation(
        relation=Relation.PRUNED_FROM,
        method=f"{kind}-pruning",
        directed=True,
        summary=f"{share:.0%} of the values of {len(comparison.changed_matrices)} matrices were set to zero, the rest "
        "is the same to the bit",
        parameters={"sparsity": round(share, 4), "structured": structured},
        observations=(
            Observation(
                kind="survivors",
                statement=f"{survived:,} of {kept:,} sampled values that are not zero equal the parent's to the bit; "
                f"{gone:,} others are zero here alone",
                value=share,
                log_odds=float(np.log(max(survived, 1)) + 5),
                method=METHOD,
            ),
        ),
    )
