"""The command line. Every command imports what it needs when it runs, so that help answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from graph_schema.errors import ModelLakeError
from modellake.interruption import interruptions_kept

if TYPE_CHECKING:
    from modellake.lake import Lake

P = ParamSpec("P")
T = TypeVar("T")

FAILED, INTERRUPTED = 1, 130


def _lake(context: click.Context) -> Lake:
    from modellake.lake import Lake

    lake = Lake(context.obj["directory"], store=context.obj["store"])
    context.call_on_close(lake.close)
    return lake


def _reporting(command: Callable[P, T]) -> Callable[P, T]:
    """Errors of the project's own tree end a command with one line."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ModelLakeError as error:
            click.echo(f"modellake: {error}", err=True)
            raise SystemExit(FAILED) from error

    return run


class Interruptible(click.Group):
    """A group of commands that say, when interrupted, that nothing was lost; also while they close the store."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            with interruptions_kept():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            click.echo("modellake: interrupted; run the same command again to go on from here", err=True)
            raise SystemExit(INTERRUPTED) from error


@click.group(cls=Interruptible, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--directory", type=click.Path(path_type=Path), help="Where the lake's own data lie [default: .modellake]."
)
@click.option("--store", metavar="URL", help="bolt:// or neo4j:// URL [default: the embedded store].")
@click.version_option(package_name="modellake")
@click.pass_context
def main(context: click.Context, directory: Path | None, store: str | None) -> None:
    """Where do these models come from? Fingerprints, lineage with evidence, and a provenance graph."""
    context.obj = {"directory": directory, "store": store}


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(min=1), help="Models read at once [default: 1].")
@click.option("--strict", is_flag=True, help="Fail if anything was left out.")
@click.option("--watch", is_flag=True, help="Go on reading what arrives, until interrupted.")
@click.option("--settle", type=click.FloatRange(min=0), help="With --watch: seconds without a change [default: 5].")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable summary on stdout; a line an event, watching.")
@click.pass_context
@_reporting
def ingest(
    context: click.Context,
    paths: tuple[Path, ...],
    workers: int | None,
    strict: bool,
    watch: bool,
    settle: float | None,
    as_json: bool,
) -> None:
    """Read the models and data sets below PATHS: weights in one pass, rows into sketches, and what cards claim.

    Dumps of a hub's metadata among PATHS (CSV of edges, JSON lines of models or cards, gzipped or not) are read too.
    """
    if watch:
        from modellake.terminal import show_watching

        if strict or workers is not None:
            raise click.UsageError("--strict and --workers do not go with --watch")
        show_watching(_lake(context), paths, settle=settle, as_json=as_json)
        return
    if settle is not None:
        raise click.UsageError("--settle goes with --watch")
    from modellake.terminal import ingest_with_progress, show_ingest

    summary = ingest_with_progress(_lake(context), paths, workers)
    show_ingest(summary, as_json=as_json)
    nothing = not (summary.models or summary.datasets or summary.unchanged or summary.described)
    if nothing or (strict and summary.problems):
        raise SystemExit(FAILED)


@main.command()
@click.option("--weights-only", is_flag=True, help="Leave the claims of cards and configs alone.")
@click.option("--least-confidence", type=click.FloatRange(0, 1), help="Say nothing less sure than this [default: 0.5].")
@click.option(
    "--weights-in",
    "weights_in",
    multiple=True,
    metavar="LAKE",
    type=click.Path(path_type=Path, exists=True),
    help="Where the models still lie: large ones that look as if their units were renumbered are read again.",
)
@click.option("--explain", metavar="CHILD", help="Say why one version has its parents, or none, instead of inferring.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable summary on stdout.")
@click.pass_context
@_reporting
def infer(
    context: click.Context,
    weights_only: bool,
    least_confidence: float | None,
    weights_in: tuple[Path, ...],
    explain: str | None,
    as_json: bool,
) -> None:
    """Infer who descends from whom, from the weights, and hold the claims against it."""
    lake = _lake(context)
    if explain is not None:
        from modellake.terminal import show_explanation

        show_explanation(lake.explain(explain), as_json=as_json)
        return
    from modellake.terminal import infer_with_progress, show_inference

    summary = infer_with_progress(
        lake, weights_only=weights_only, least_confidence=least_confidence, weights_in=weights_in
    )
    show_inference(lake, summary, as_json=as_json)


@main.command()
@click.argument("model", required=False)
@click.option("--up", type=click.IntRange(min=0), default=10, show_default=True, help="Steps towards ancestors.")
@click.option("--down", type=click.IntRange(min=0), default=10, show_default=True, help="Steps towards descendants.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.0, help="Leave out edges less sure than this.")
@click.option("--format", "form", type=click.Choice(["tree", "json", "mermaid", "dot", "png"]), default="tree")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.pass_context
@_reporting
def lineage(
    context: click.Context,
    model: str | None,
    up: int,
    down: int,
    min_confidence: float,
    form: str,
    output: Path | None,
) -> None:
    """Show what MODEL descends from and what descends from it; the whole lake without one."""
    from modellake.terminal import show_lineage

    lake = _lake(context)
    graph = (
        lake.whole_lineage() if model is None else lake.lineage(model, up=up, down=down, min_confidence=min_confidence)
    )
    show_lineage(graph, form, output)


@main.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.pass_context
@_reporting
def find(context: click.Context, text: str, limit: int) -> None:
    """Look for versions by a part of their name, id or model."""
    for node in _lake(context).find(text, limit=limit):
        absent = node.kind == "ghost"
        click.echo(f"{'absent' if absent else node.id[:12]:<12}  {node.name}")


@main.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
@_reporting
def claims(context: click.Context, model: str | None, as_json: bool) -> None:
    """Hold what cards and configs claim against what the weights show."""
    from modellake.terminal import show_findings

    show_findings(_lake(context).findings(model), as_json=as_json)


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
@_reporting
def datasets(context: click.Context, name: str | None, as_json: bool) -> None:
    """List the data sets, or show the schema, relations and models of the one called NAME."""
    from modellake.dataset_views import show_dataset, show_datasets

    lake = _lake(context)
    if name is None:
        show_datasets(lake.datasets(), as_json=as_json)
    else:
        show_dataset(lake.dataset(name), as_json=as_json)


@main.command()
@click.argument("cypher")
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; JSON, or a string.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds.")
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON on stdout.")
@click.pass_context
@_reporting
def query(
    context: click.Context, cypher: str, pairs: tuple[str, ...], limit: int, timeout: float, as_json: bool
) -> None:
    """Run a read-only CYPHER query."""
    from modellake.terminal import parse_parameters, show_table

    table = _lake(context).query(cypher, parse_parameters(pairs), timeout_s=timeout, limit=limit)
    show_table(table, as_json=as_json)


@main.command()
@click.argument("model")
@click.option("--format", "form", default="bibtex", show_default=True, help="bibtex, dot, json or mermaid.")
@click.option("--up", type=click.IntRange(min=0), default=10, show_default=True)
@click.option("--down", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write [default: stdout]."
)
@click.pass_context
@_reporting
def export(context: click.Context, model: str, form: str, up: int, down: int, output: Path | None) -> None:
    """Export MODEL and what it descends from: to cite it, or for other tools."""
    from modellake.terminal import write_text

    write_text(_lake(context).export(model, form, up=up, down=down), output)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--headless", is_flag=True, help="Do not open a browser.")
@click.pass_context
@_reporting
def dashboard(context: click.Context, port: int, headless: bool) -> None:
    """Explore the lake in a browser."""
    from modellake.settings import Settings
    from modellake.terminal import open_dashboard

    settings = Settings.of(context.obj["directory"], context.obj["store"])
    raise SystemExit(open_dashboard(settings, port=port, headless=headless))


@main.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
@_reporting
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is installed, what is missing and how to get it."""
    from modellake.doctor import examine
    from modellake.terminal import show_checks

    if not show_checks(examine(_lake(context)), as_json=as_json):
        raise SystemExit(FAILED)


@main.group()
def neo4j() -> None:
    """A Neo4j of your own, from Maven, in a directory: needs Java 17 or later and Maven."""


def _neo4j_directory(context: click.Context) -> Path:
    from modellake.settings import Settings

    return Settings.of(context.obj["directory"], context.obj["store"]).directory / "neo4j"


@neo4j.command()
@click.option("--release", type=click.Choice(["lts", "current"]), default="lts", show_default=True)
@click.pass_context
@_reporting
def start(context: click.Context, release: Any) -> None:
    """Start it in the background and print its URL."""
    from cypher.neo4j_server import start as started

    click.echo("starting Neo4j; the first time it is fetched, 128 MB", err=True)
    click.echo(started(_neo4j_directory(context), release=release).url)


@neo4j.command()
@click.pass_context
@_reporting
def stop(context: click.Context) -> None:
    """Stop it; its data stay."""
    from cypher.neo4j_server import stop as stopped

    click.echo("stopped" if stopped(_neo4j_directory(context)) else "was not running")


@neo4j.command()
@click.pass_context
@_reporting
def status(context: click.Context) -> None:
    """Print its URL while it runs; fail otherwise."""
    from cypher.neo4j_server import status as asked

    endpoint = asked(_neo4j_directory(context))
    if endpoint is None:
        click.echo("not running", err=True)
        raise SystemExit(FAILED)
    click.echo(endpoint.url)


if __name__ == "__main__":
    sys.exit(main())
