"""All documents of one model, read into its record and its claims; what cannot be read is a problem, not an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime

from graph_schema.errors import ModelLakeError, ResourceError
from graph_schema.records import Claim, Model
from ingest.claims.configs import load_json, read_adapter_config, read_config, read_mergekit
from ingest.claims.front_matter import read_front_matter, split_card, words
from ingest.claims.gguf_fields import read_gguf_fields
from ingest.claims.prose import read_prose
from ingest.claims.statements import Documentation, Findings, excerpt
from ingest.model_source import ModelSource
from ingest.readers import open_file
from ingest.readers.gguf_file import GgufSource
from ingest.stored_file import StoredFile

CARD_LIMIT = 4 << 20
"""Bytes of a card or a config that are read."""

_TAGS_LIMIT = 200


def read_documents(source: ModelSource) -> Documentation:
    """The Model record of a source and everything that its documents claim.

    Cost
    ----
    At most `CARD_LIMIT` bytes of each document, and the headers of GGUF files; no weights.
    """
    findings: list[Findings] = []
    card: Mapping[str, object] = {}
    files = {item.base: item for item in source.documents}
    adapter = "adapter_config.json" in files or any(item.adapter_config for item in source.weights)
    for base, item in sorted(files.items()):
        shown = shown_name(item, source.folder)
        try:
            text, cut = item.read_text(CARD_LIMIT)
            found = _read(base, text, subject=source.id, file=shown, adapter=adapter)
        except ModelLakeError as error:
            findings.append(Findings(problems=(error,)))
            continue
        if cut:
            limit = ResourceError(f"is longer than {CARD_LIMIT} bytes: the rest was not read", where=item.name)
            findings.append(Findings(problems=(limit,)))
        findings.append(found)
        if base == "README.md":
            card = found.fields
    findings += _headers(source)
    return Documentation(
        model=model_record(source, card),
        claims=merge_claims(claim for found in findings for claim in found.claims),
        statements=tuple(statement for found in findings for statement in found.statements),
        problems=tuple(problem for found in findings for problem in found.problems),
    )


def _headers(source: ModelSource) -> Iterator[Findings]:
    """Claims in the headers of weight files; a damaged one is reported when the weights are read."""
    for weights in source.weights:
        if weights.format != "gguf":
            continue
        item = weights.files[0]
        try:
            with open_file(item) as opened:
                if isinstance(opened, GgufSource):
                    shown = shown_name(item, source.folder)
                    yield read_gguf_fields(opened.fields, quantized=opened.quantized, subject=source.id, file=shown)
        except ModelLakeError:
            continue


def shown_name(item: StoredFile, folder: str) -> str:
    """A file's name relative to its model's folder, fit for showing."""
    name = item.name[len(folder) :].lstrip("/") if folder else item.name
    return excerpt(name.encode("utf-8", "replace").decode("utf-8"))


def read_card(text: str, *, subject: str, file: str, adapter: bool = False) -> Findings:
    """Claims of a whole card, front matter and prose; what the front matter says, the prose need not say again.

    Examples
    --------
    >>> card = "---\\nbase_model: org/base\\n---\\nA fine-tuned version of [base](https://hf.co/org/base)."
    >>> [(claim.kind, claim.target) for claim in read_card(card, subject="team/child", file="README.md").claims]
    [('card_base_model', 'org/base'), ('card_prose', 'org/base')]
    """
    front, body = split_card(text)
    declared = read_front_matter(front, subject=subject, file=file, adapter=adapter)
    prose = read_prose(body, subject=subject, file=file)
    return Findings(
        claims=declared.claims + prose.claims,
        statements=declared.statements + prose.statements,
        problems=declared.problems + prose.problems,
        fields=declared.fields,
    )


def merge_claims(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Claims without repetition, the certain ones first, then by file, field and target."""
    return tuple(
        sorted(
            set(claims),
            key=lambda item: (
                not item.certain,
                item.file,
                item.field,
                item.relation,
                item.target,
                item.metric or "",
                item.kind,
                item.excerpt,
                item.weight or 0.0,
            ),
        )
    )


def model_record(source: ModelSource, card: Mapping[str, object]) -> Model:
    """The Model of a source, with what its card's front matter says about it."""
    return card_model(card, id=source.id, location=source.location)


def card_model(card: Mapping[str, object], *, id: str, location: str | None = None) -> Model:
    """A Model from the fields of a card, or of the hub's metadata about it.

    Examples
    --------
    >>> card_model({"license": ["mit"], "tags": ["a"]}, id="org/name").license
    'mit'
    """
    created = card.get("created_at") or card.get("date_created")
    return Model(
        id=id,
        name=id.rsplit("/", 1)[-1],
        organization=id.split("/", 1)[0] if "/" in id else None,
        location=location,
        license=", ".join(map(excerpt, words(card.get("license")))) or None,
        library=_text(card.get("library_name")),
        pipeline=_text(card.get("pipeline_tag")),
        tags=tuple(dict.fromkeys(excerpt(tag) for tag in words(card.get("tags"))[:_TAGS_LIMIT])),
        created_at=_time(created),
    )


def _text(value: object) -> str | None:
    return excerpt(value) or None if isinstance(value, str) else None


def _time(value: object) -> str | None:
    """A time as ISO 8601; one without a zone is taken as UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, date):
        return None
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _read(base: str, text: str, *, subject: str, file: str, adapter: bool) -> Findings:
    if base == "README.md":
        return read_card(text, subject=subject, file=file, adapter=adapter)
    if base == "config.json":
        return read_config(load_json(text, where=f"{subject}/{file}"), subject=subject, file=file)
    if base == "adapter_config.json":
        return read_adapter_config(load_json(text, where=f"{subject}/{file}"), subject=subject, file=file)
    if base.startswith("mergekit_config"):
        return read_mergekit(text, subject=subject, file=file)
    return Findings()
