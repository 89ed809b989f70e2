"""How often each cue of direction has the right sign on true edges: `python -m benchmarks.cue_signs LAKE...`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.lakes.truth import Truth, truth_path
from benchmarks.lineage_accuracy import lake_fingerprints
from graph_schema.labels import Relation
from lineage.alignment import TensorPair, tensor_pairs
from lineage.direction import changes, decay_clock, growth, row_growth
from lineage.family_decays import FamilyDecays
from lineage.measured_roles import measured_roles
from lineage.weight_decay import Decay

SURE = 3.0
"""Standard errors from which on a decay of weights counts as one."""


def signs(pairs: Sequence[TensorPair], decay: Decay) -> dict[str, float]:
    """Every cue from parent to child, positive where it is right; 0 where it does not speak."""
    clock, changed = decay_clock(pairs), changes(pairs)
    kurtosis = [pair.one.kurtosis - pair.two.kurtosis for pair in pairs if pair.matrix and not pair.equal]
    return {
        "growth": grown.value if (grown := growth(changed)) else 0.0,
        "row growth": rows.value if (rows := row_growth(changed)) else 0.0,
        "decay of weights": decay.score if abs(decay.score) >= SURE else 0.0,
        "untouched rows": 0.0 if clock is None else clock[0],
        "falling kurtosis": float(np.mean(kurtosis)) if kurtosis else 0.0,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the share of right signs of each cue, and on how many edges it spoke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lakes", nargs="+", type=Path)
    found: dict[str, list[bool]] = {}
    for lake in parser.parse_args(arguments).lakes:
        named = lake_fingerprints(lake)
        for edge in Truth.read(truth_path(lake)).edges:
            if edge.relation is Relation.FINE_TUNED_FROM and {edge.child, edge.parent} <= named.keys():
                pairs = tuple(tensor_pairs(named[edge.parent], named[edge.child]))
                family = named[edge.parent], named[edge.child]
                decay = FamilyDecays(family, measured_roles(family)).between((0, 1))
                for name, value in signs(pairs, decay).items():
                    if value:
                        found.setdefault(name, []).append(value > 0)
    for name, right in found.items():
        print(f"{name:18} {sum(right) / len(right):.2f} of {len(right)} edges")


if __name__ == "__main__":
    main()
