"""How well claims are read out of card prose, on real cards whose front matter says the truth and is taken away first.

Run from the top of the checkout: `python -m benchmarks.claim_extraction`. The hub's metadata is read at run time from
`MODELLAKE_HUB_DATA`, or from `../shared/data/hub` beside the checkout.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

from ingest.claims.front_matter import split_card
from ingest.claims.prose import read_prose

RELATIONS = {
    "FINE_TUNED_FROM": "finetune",
    "ADAPTED_FROM": "adapter",
    "MERGED_FROM": "merge",
    "QUANTIZED_FROM": "quantized",
}


def hub_data() -> Path | None:
    """The folder of the hub's metadata; None where it is absent."""
    stated = os.environ.get("MODELLAKE_HUB_DATA")
    folder = Path(stated) if stated else Path(__file__).resolve().parents[2] / "shared" / "data" / "hub"
    return folder if (folder / "hf_cards.jsonl.gz").is_file() else None


def main() -> int:
    """Print precision and recall of the parents named in prose, and the share with the right relation."""
    folder = hub_data()
    if folder is None:
        print("skipped: no hub metadata (set MODELLAKE_HUB_DATA)")
        return 0
    truth: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)
    with (folder / "hf_edges.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            truth[row["child"]].setdefault(row["parent"].lower(), set()).add(row["relation"])
    count: Counter[str] = Counter()
    wrong: list[tuple[str, str, str, list[str]]] = []
    missed: list[tuple[str, str]] = []
    with gzip.open(folder / "hf_cards.jsonl.gz", "rt", encoding="utf-8") as cards:
        for line in cards:
            entry = json.loads(line)
            parents = truth.get(entry["id"])
            if not parents:
                continue
            body = split_card(entry["card"])[1]
            found = {
                claim.target.lower(): claim
                for claim in read_prose(body, subject=entry["id"], file="README.md").claims
                if claim.relation in RELATIONS and claim.kind == "card_prose"
            }
            count["cards"] += 1
            count["parents"] += len(parents)
            count["parents named in the body"] += sum(parent in body.lower() for parent in parents)
            for target, claim in found.items():
                count["claims"] += 1
                if target in parents:
                    count["right"] += 1
                    count["right relation"] += RELATIONS[claim.relation] in parents[target]
                else:
                    wrong.append((entry["id"], claim.target, claim.excerpt, sorted(parents)))
            missed += [(entry["id"], parent) for parent in parents if parent in body.lower() and parent not in found]
    print(f"cards {count['cards']}, parents {count['parents']}, claims {count['claims']}")
    print(f"precision {count['right'] / count['claims']:.3f}")
    print(f"recall {count['right'] / count['parents']:.3f} of all parents")
    print(f"recall {count['right'] / count['parents named in the body']:.3f} of the parents that the prose names")
    print(f"relation {count['right relation'] / count['right']:.3f} of the right parents")
    if "--errors" in sys.argv:
        for item in wrong:
            print("wrong", *item, sep=" | ")
        for pair in missed:
            print("missed", *pair, sep=" | ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
