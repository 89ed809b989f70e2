"""The slow studies behind `docs/benchmarks.md`, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STUDIES = (
    ["benchmarks.fingerprint_throughput"],
    ["benchmarks.demo_accuracy"],
    ["benchmarks.claim_extraction"],
    ["benchmarks.dataset_sketches"],
)


def main() -> int:
    """Run every study in a process of its own; the number of those that failed."""
    failed = 0
    for study in STUDIES:
        print(f"== python -m {' '.join(study)}", flush=True)
        failed += subprocess.run([sys.executable, "-W", "ignore", "-m", *study], check=False).returncode != 0
    lakes = sorted(str(path) for path in Path(".cache/lakes").glob("*") if path.is_dir())
    if lakes:
        accuracy = [sys.executable, "-W", "ignore", "-m", "benchmarks.lineage_accuracy", *lakes]
        failed += subprocess.run(accuracy, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
