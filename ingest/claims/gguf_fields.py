"""Claims in the header of a GGUF file: its `general.*` fields (ggml/docs/gguf.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graph_schema.labels import Relation
from graph_schema.records import Claim
from ingest.claims.names import dataset_name, model_name
from ingest.claims.statements import Findings, Statement, excerpt

_BASES_LIMIT = 64


def read_gguf_fields(fields: Mapping[str, object], *, quantized: bool, subject: str, file: str) -> Findings:
    """Claims of a GGUF header.

    Parameters
    ----------
    fields : mapping
        `ingest.readers.gguf_file.GgufSource.fields`.
    quantized : bool
        Whether the values are: then what it was made from is what it was quantised from.
    subject, file : str
        Id of the Model, name of the file.

    Examples
    --------
    >>> fields = {"general.base_model.count": 1, "general.base_model.0.repo_url": "https://huggingface.co/org/base"}
    >>> found = read_gguf_fields(fields, quantized=True, subject="m", file="m.gguf")
    >>> [(claim.relation.value, claim.target) for claim in found.claims]
    [('QUANTIZED_FROM', 'org/base')]
    """
    single = Relation.QUANTIZED_FROM if quantized else Relation.FINE_TUNED_FROM
    bases = list(_bases(fields))
    relation = Relation.MERGED_FROM if len(bases) > 1 else single
    sources = [("general.source", name) for name in _named(fields, "general.source")]
    claims = [
        Claim(
            subject=subject,
            relation=kind,
            target=name,
            kind="gguf_base_model" if "base_model" in field else "gguf_source",
            file=file,
            field=field,
            excerpt=excerpt(f"{field}: {name}"),
        )
        for kind, pairs in ((relation, bases), (single, sources))
        for field, name in pairs
        if name.lower() != subject.lower()
    ]
    stated = fields.get("general.datasets")
    for text in stated if isinstance(stated, tuple) else ():
        name = dataset_name(text)
        if name:
            claims.append(
                Claim(
                    subject=subject,
                    relation=Relation.TRAINED_ON,
                    target=name,
                    kind="gguf_datasets",
                    file=file,
                    field="general.datasets",
                    excerpt=excerpt(f"general.datasets: {text}"),
                )
            )
    by = fields.get("general.quantized_by")
    statements = (
        (Statement(kind="quantized_by", value=excerpt(by), file=file, field="general.quantized_by"),) if by else ()
    )
    return Findings(claims=tuple(claims), statements=statements)


def _bases(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    count = fields.get("general.base_model.count")
    for number in range(min(count, _BASES_LIMIT) if isinstance(count, int) else 0):
        field = f"general.base_model.{number}"
        for name in _named(fields, field):
            yield field, name


def _named(fields: Mapping[str, object], prefix: str) -> list[str]:
    """The model that a group of fields names: by its repository, else by organisation and name."""
    linked = model_name(fields.get(f"{prefix}.repo_url")) or model_name(fields.get(f"{prefix}.huggingface.repository"))
    if linked:
        return [linked]
    organization, name = fields.get(f"{prefix}.organization"), fields.get(f"{prefix}.name")
    if not isinstance(name, str) or not isinstance(organization, str):
        return []
    joined = model_name(f"{organization.strip().replace(' ', '-')}/{name.strip().replace(' ', '-')}")
    return [joined] if joined else []
