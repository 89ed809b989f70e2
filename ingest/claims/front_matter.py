"""The front matter of a model card, field by field (Hugging Face, "Model Card" specification)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from graph_schema.errors import FormatError, ModelLakeError
from graph_schema.labels import Relation
from graph_schema.records import Claim
from ingest.claims.names import arxiv_id, dataset_name, model_name
from ingest.claims.safe_yaml import load_yaml
from ingest.claims.statements import Findings, Statement, excerpt

RELATIONS: Mapping[str, Relation] = {
    "adapter": Relation.ADAPTED_FROM,
    "merge": Relation.MERGED_FROM,
    "quantized": Relation.QUANTIZED_FROM,
    "finetune": Relation.FINE_TUNED_FROM,
}
"""The values of `base_model_relation`."""

_OPENING = re.compile(r"\ufeff?\s*---[ \t]*\r?\n")
_CLOSING = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_QUANTIZED = frozenset(("gguf", "gptq", "awq", "exl2", "bitsandbytes", "ggml", "quantized", "4-bit", "8-bit"))
_MERGED = frozenset(("merge", "mergekit", "lazymergekit"))
_ADAPTED = frozenset(("lora", "adapter", "peft", "qlora"))
_LIST_LIMIT = 2000


def split_card(text: str) -> tuple[str | None, str]:
    """Front matter and body of a card; None where it has no front matter.

    Examples
    --------
    >>> split_card("---\\nlicense: mit\\n---\\n# Title")
    ('license: mit\\n', '\\n# Title')
    """
    opening = _OPENING.match(text)
    if opening is None:
        return None, text
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        return None, text
    return text[opening.end() : closing.start()], text[closing.end() :]


def read_front_matter(text: str | None, *, subject: str, file: str, adapter: bool = False) -> Findings:
    """Claims and fields of a card's front matter.

    Parameters
    ----------
    text : str or None
        YAML, without the dashes.
    subject : str
        Id of the Model.
    file : str
        Name of the card.
    adapter : bool
        Whether the model's files are an adapter's, which decides where `base_model_relation` is left out.
    """
    if text is None:
        return Findings()
    try:
        fields = load_yaml(text, where=f"{subject}/{file}: front matter")
    except ModelLakeError as error:
        return Findings(problems=(error,))
    if fields is None:
        return Findings()
    if not isinstance(fields, dict):
        return Findings(problems=(FormatError("front matter is no mapping", where=f"{subject}/{file}"),))
    return read_card_fields(fields, subject=subject, file=file, adapter=adapter)


def read_card_fields(
    fields: Mapping[str, object], *, subject: str, file: str, adapter: bool = False, kind: str = "card"
) -> Findings:
    """Claims of front matter that is parsed already, such as the `card_data` of the hub's metadata."""
    claims = [
        *_bases(fields, subject, file, adapter, kind),
        *_datasets(fields, subject, file, kind),
        *_papers(fields, subject, file, kind),
        *_evaluations(fields, subject, file, kind),
    ]
    statements = []
    successor = model_name(fields.get("new_version"))
    if successor:
        statements.append(Statement(kind="new_version", value=successor, file=file, field="new_version"))
    return Findings(claims=tuple(claims), statements=tuple(statements), fields=fields)


def words(value: object) -> list[str]:
    """A field that may be one string or a list of them, as a list.

    Examples
    --------
    >>> words("a"), words(["a", 1, None]), words(None)
    (['a'], ['a'], [])
    """
    items = value if isinstance(value, list) else [value]
    return [item for item in items[:_LIST_LIMIT] if isinstance(item, str)]


def relation_of(fields: Mapping[str, object], bases: int, *, adapter: bool) -> Relation:
    """How a card says its model was made: `base_model_relation`, else what the hub concludes from the tags."""
    stated = fields.get("base_model_relation")
    if isinstance(stated, str) and stated.strip().lower() in RELATIONS:
        return RELATIONS[stated.strip().lower()]
    tags = {tag.lower() for tag in words(fields.get("tags"))}
    library = str(fields.get("library_name") or "").lower()
    if bases > 1 and tags & _MERGED:
        return Relation.MERGED_FROM
    if adapter or library in _ADAPTED or (tags & _ADAPTED and not tags & _QUANTIZED):
        return Relation.ADAPTED_FROM
    if tags & _QUANTIZED or library in _QUANTIZED or fields.get("quantized_by"):
        return Relation.QUANTIZED_FROM
    return Relation.MERGED_FROM if tags & _MERGED else Relation.FINE_TUNED_FROM


def _bases(fields: Mapping[str, object], subject: str, file: str, adapter: bool, kind: str) -> Iterator[Claim]:
    stated = words(fields.get("base_model"))
    relation = relation_of(fields, len(stated), adapter=adapter)
    for text in stated:
        name = model_name(text)
        if name is None or name == subject:
            continue
        yield Claim(
            subject=subject,
            relation=relation,
            target=name,
            kind=f"{kind}_base_model",
            file=file,
            field="base_model",
            excerpt=excerpt(f"base_model: {text}"),
        )


def _datasets(fields: Mapping[str, object], subject: str, file: str, kind: str) -> Iterator[Claim]:
    for text in words(fields.get("datasets")):
        name = dataset_name(text)
        if name:
            yield Claim(
                subject=subject,
                relation=Relation.TRAINED_ON,
                target=name,
                kind=f"{kind}_datasets",
                file=file,
                field="datasets",
                excerpt=excerpt(f"datasets: {text}"),
            )


def _papers(fields: Mapping[str, object], subject: str, file: str, kind: str) -> Iterator[Claim]:
    for tag in words(fields.get("tags")):
        head, _, rest = tag.strip().partition(":")
        paper = arxiv_id(rest.strip()) if head.lower() == "arxiv" else None
        if paper:
            yield Claim(
                subject=subject,
                relation=Relation.DESCRIBED_BY,
                target=f"arxiv:{paper}",
                kind=f"{kind}_arxiv_tag",
                file=file,
                field="tags",
                excerpt=excerpt(tag),
            )


def _evaluations(fields: Mapping[str, object], subject: str, file: str, kind: str) -> Iterator[Claim]:
    for entry in _mappings(fields.get("model-index")):
        for result in _mappings(entry.get("results")):
            dataset = result.get("dataset")
            task = result.get("task")
            named = dataset if isinstance(dataset, dict) else {}
            name = dataset_name(named.get("name")) or dataset_name(named.get("type"))
            if name is None and isinstance(task, dict):
                name = dataset_name(task.get("name")) or dataset_name(task.get("type"))
            if name is None:
                continue
            for metric in _mappings(result.get("metrics")):
                label = metric.get("type") or metric.get("name")
                if isinstance(label, str) and label.strip():
                    yield Claim(
                        subject=subject,
                        relation=Relation.EVALUATED_ON,
                        target=name,
                        kind=f"{kind}_model_index",
                        file=file,
                        field="model-index",
                        excerpt=excerpt(f"{label}: {metric.get('value')} on {name}"),
                        weight=number(metric.get("value")),
                        metric=excerpt(label),
                    )


def _mappings(value: object) -> list[Mapping[str, object]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items[:_LIST_LIMIT] if isinstance(item, dict)]


def number(value: object) -> float | None:
    """A finite number, also one written as text (with or without a percent sign); None for anything else.

    Examples
    --------
    >>> number("88.5%"), number(0.5), number("high"), number(float("nan"))
    (88.5, 0.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value.strip().removesuffix("%")) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None
