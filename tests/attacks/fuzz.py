"""Fuzz every parser for a bounded time: `make fuzz`, or `python -m tests.attacks.fuzz [TARGET...]`.

Each target of `tests.attacks.parsers` runs in a process of its own for FUZZ_SECONDS (20 by default), led by coverage
where atheris is installed, else by mutations drawn at random. Starting inputs are made, not stored; an input that makes
a parser fail is kept in `.cache/fuzz` and named.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

FINDINGS = Path(".cache/fuzz")
_MEMORY_MB = 2048
_SLOWEST_SECONDS = 10


def main() -> int:
    """Fuzz the targets named, or all; the exit status is 1 where one was found to fail."""
    if sys.argv[1:2] == ["--one"]:
        return _attack(sys.argv[2], float(sys.argv[3]))
    if sys.argv[1:2] == ["--at-random"]:
        return _at_random(sys.argv[2], float(sys.argv[3]))
    from tests.attacks.parsers import TARGETS

    seconds = float(os.environ.get("FUZZ_SECONDS", "20"))
    FINDINGS.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in sys.argv[1:] or TARGETS:
        command = [sys.executable, "-m", "tests.attacks.fuzz", "--one", name, str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        lines = (done.stdout + done.stderr).splitlines()
        runs = next((line for line in reversed(lines) if line.startswith(("Done ", "stat::number"))), "")
        print(f"{name:20} {'FAILED' if done.returncode else 'ok':7} {runs}", flush=True)
        if done.returncode:
            failed.append(name)
            print("\n".join(lines[-25:]), flush=True)
    return 1 if failed else 0


def _attack(name: str, seconds: float) -> int:
    return _led_by_coverage(name, seconds) if find_spec("atheris") else _at_random(name, seconds)


def _led_by_coverage(name: str, seconds: float) -> int:
    import atheris

    with atheris.instrument_imports(include=["ingest", "graph_schema"]):
        from tests.attacks.parsers import TARGETS
    target = TARGETS[name]
    with TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = (
            f"-max_total_time={seconds:.0f}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-timeout={_SLOWEST_SECONDS}",
            f"-artifact_prefix={FINDINGS}/{_plain(name)}-",
            "-print_final_stats=1",
        )
        atheris.Setup([sys.argv[0], *options, corpus], target.attack)
        atheris.Fuzz()  # ends the process
    return 0


def _at_random(name: str, seconds: float) -> int:
    from tests.attacks.mutating import mutated
    from tests.attacks.parsers import TARGETS

    target = TARGETS[name]
    FINDINGS.mkdir(parents=True, exist_ok=True)
    seeds, end, runs = target.seeds(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = mutated(seeds[runs % len(seeds)], time.time_ns())
        try:
            target.attack(content)
        except BaseException:
            file = FINDINGS / f"{_plain(name)}-{hashlib.sha256(content).hexdigest()[:16]}"
            file.write_bytes(content)
            print(f"kept as {file}")
            raise
        runs += 1
    print(f"Done {runs} runs")
    return 0


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


if __name__ == "__main__":
    sys.exit(main())
