"""Claims read out of the body of a model card: sentences such as "a fine-tuned version of [org/name](...)".

Prose is read narrowly: a phrase that states a descent, and right after it a name that can only be a model's, either
linked to the hub or written `org/name`. What is quoted as code or hidden in comments is not prose. These claims are
marked as not certain; `benchmarks/claim_extraction.py` measures how often they are right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graph_schema.labels import Relation
from graph_schema.records import Claim
from ingest.claims.names import arxiv_id, hub_path, model_name
from ingest.claims.statements import UNKNOWN, Findings, Statement, excerpt

BODY_LIMIT = 1 << 20
"""Characters of prose that are searched; no card needs more."""

_LINE_LIMIT = 2000
_ORGANIZATIONS = frozenset(
    ["google", "microsoft", "facebook", "meta-llama", "openai", "mistralai", "nvidia", "deepseek-ai", "Qwen", "unsloth"]
)
_ENTRIES_LIMIT = 200

_FENCE = re.compile(
    r"^[ \t]*(?P<fence>```|~~~)(?P<language>[^\n`]*)\n(?P<inside>.*?)(?:^[ \t]*(?P=fence)|\Z)", re.M | re.S
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_ANCHOR = re.compile(
    r"<a\s[^>]{0,400}?href\s*=\s*[\"']?(?P<url>[^\"'\s>]{1,400})[^>]{0,400}>(?P<text>[^<]{0,300})</a>", re.I
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_UNKNOWN = re.compile(r"base[ _-]?model\W{0,6}\[?unknown\b[^\n]{0,80}", re.I)
_ARXIV = re.compile(r"(?:arxiv\.org/(?:abs|pdf)/|arxiv:\s{0,2})(?P<id>[\w./\-]{5,40})", re.I)
_BIBTEX = re.compile(r"@(?P<type>[A-Za-z]{4,15})\s{0,3}\{\s{0,3}(?P<key>[^,\s{}]{1,120})\s{0,3},")

# A name right after the phrase: a Markdown link, or an identifier that stands alone (perhaps in quotes or stars).
_GLUE = (
    r"(?:\s|[\"'“‘`*_:]|the\b|a\b|an\b|our\b|official\b|original\b|base\b|pre-?trained\b|models?\b|checkpoint\b"
    r"|\[optional\]|weights\b){0,14}"
)
_NAME = (
    r"(?:!?\[(?P<text>[^\[\]\n]{1,200})\]\(\s*<?(?P<url>[^()\s<>]{1,300})"
    r"|(?P<link>(?:https?://)?(?:huggingface\.co|hf\.co)/[^\s()<>\[\]\"'`]{1,200})"
    r"|(?P<bare>[A-Za-z0-9][\w.\-]{1,60}/[A-Za-z0-9][\w.\-]{2,95}))"
)

_TUNED = r"fine[\s\-]{0,2}tun(?:ed|e|ing)"
_QUANTS = r"(?:gguf|ggml|gptq|awq|exl2|int[48]|fp8|[248][\s\-]?bit|imatrix|static|weighted(?:/imatrix)?)"
_MADE = r"(?:models?|versions?|variants?|checkpoints?|adaptations?|weights)"
_ADAPTER = (
    r"(?:lora|adapter|adaption|adaptation|qlora)s?\s{1,2}(?:adaption\s|adaptation\s|adapter\s)?"
    r"(?:weights?\s|model\s|trained\s|fine-?tuned\s){0,2}(?:for|on|of|from)"
)
_QUANTIZED = rf"quanti[sz](?:ed|ations?)\s{{1,2}}(?:{_MADE}\s)?(?:of|from|for)"
_CONTAINER = (
    rf"{_QUANTS}\s{{1,2}}(?:quants?|quanti[sz]ations?|format|model\sfiles|{_MADE})\s(?:model\sfiles\s|{_MADE}\s)?"
    r"(?:of|for|from)"
)
_CONVERTED = r"converted\sto\s(?:gguf|ggml|mlx|gptq|awq|onnx)(?:\sformat)?\sfrom"
_DISTILLED = rf"distill?(?:ed|ation)\s{{1,2}}(?:{_MADE}\s)?(?:of|from)"
_FINE_TUNED = rf"(?:{_TUNED})\s{{1,2}}(?:{_MADE}\s{{1,2}})?(?:of|from|on\stop\sof|based\son)"
_TRAINED = (
    rf"{_MADE}\s(?:was\s|were\s|is\s|are\s)?(?:derived|trained|initiali[sz]ed|adapted|further\strained)"
    r"\s(?:from|on\stop\sof)"
)
_BASED = rf"(?:{_MADE}\s(?:is\s|was\s)?|^[\W_]{{0,8}})(?:based|built)\s(?:on|upon)(?:\stop\sof)?"
_LABELLED = r"^[\W_]{0,8}base[\s_-]?model(?:\sused|\sname)?\W{0,6}"

_PHRASES: tuple[tuple[Relation, str], ...] = (
    (Relation.ADAPTED_FROM, _ADAPTER),
    (Relation.QUANTIZED_FROM, _QUANTIZED),
    (Relation.QUANTIZED_FROM, _CONTAINER),
    (Relation.QUANTIZED_FROM, _CONVERTED),
    (Relation.DISTILLED_FROM, _DISTILLED),
    (Relation.MERGED_FROM, r"merged?\s{1,2}(?:of|from)"),
    (Relation.FINE_TUNED_FROM, _FINE_TUNED),
    (Relation.FINE_TUNED_FROM, rf"{_TUNED}\sfrom\smodel"),
    (Relation.FINE_TUNED_FROM, _TRAINED),
    (Relation.FINE_TUNED_FROM, r"derived\sfrom"),
    (Relation.FINE_TUNED_FROM, _BASED),
    (Relation.FINE_TUNED_FROM, _LABELLED),
)
_STATEMENTS = tuple(
    (relation, re.compile(rf"(?:{phrase}){_GLUE}{_NAME}", re.I | re.M)) for relation, phrase in _PHRASES
)

_MERGE_LIST = re.compile(
    r"(?:models?\s(?:were|was)\sincluded\sin\sthe\smerge|merge\sof\s(?:the\s)?following\smodels)[^\n]{0,120}", re.I
)
_LIST_ITEM = re.compile(rf"[ \t]*[*+\-][ \t]{{0,4}}(?:[\"'`*_]{{0,3}}){_NAME}", re.I)
_ADAPTERS = re.compile(r"\b(?:qlora|lora|peft|adapters?)\b", re.I)


def read_prose(body: str, *, subject: str, file: str) -> Findings:
    """Claims, publications and the admission that the base is unknown, from the body of a card.

    Parameters
    ----------
    body : str
        Markdown with HTML, without the front matter; never rendered or run.
    subject : str
        Id of the Model.
    file : str
        Name of the card.

    Examples
    --------
    >>> text = "A fine-tuned version of [org/base](https://huggingface.co/org/base)."
    >>> found = read_prose(text, subject="m", file="README.md")
    >>> [(claim.relation.value, claim.target) for claim in found.claims]
    [('FINE_TUNED_FROM', 'org/base')]
    """
    body = body[:BODY_LIMIT]
    prose = plain_prose(body)
    claims = [*_unknown(body, subject, file), *_descents(prose, subject, file), *_papers(body, subject, file)]
    return Findings(claims=tuple(claims), statements=tuple(_bibtex(body, file)))


def plain_prose(body: str) -> str:
    """The body without code blocks, comments and tags; HTML links become Markdown links.

    Examples
    --------
    >>> plain_prose('see <a href="https://hf.co/a/b">b</a> <!-- hidden --><br>')
    'see [b](https://hf.co/a/b) '
    """
    text = _FENCE.sub("\n", body)
    text = _COMMENT.sub("", text)
    text = _ANCHOR.sub(lambda match: f"[{match['text']}]({match['url']})", text)
    text = _TAG.sub("", text)
    return "\n".join(line[:_LINE_LIMIT] for line in text.splitlines())


def _unknown(body: str, subject: str, file: str) -> Iterator[Claim]:
    # Looked for in comments too: sentence-transformers writes the line there when it does not know the base.
    match = _UNKNOWN.search(body)
    if match:
        yield Claim(
            subject=subject,
            relation=Relation.FINE_TUNED_FROM,
            target=UNKNOWN,
            kind="card_base_unknown",
            file=file,
            field="base model",
            excerpt=excerpt(match[0]),
        )


def _descents(prose: str, subject: str, file: str) -> Iterator[Claim]:
    taken: set[tuple[int, str]] = set()
    named: set[str] = set()
    for relation, target, start, words in (*_merge_lists(prose), *_phrases(prose)):
        if target.lower() == subject.lower() or (start, target) in taken or target in named:
            continue
        taken.add((start, target))
        named.add(target)
        yield Claim(
            subject=subject,
            relation=relation,
            target=target,
            kind="card_prose",
            file=file,
            field="text",
            excerpt=excerpt(words),
            certain=False,
        )


def _phrases(prose: str) -> Iterator[tuple[Relation, str, int, str]]:
    for relation, pattern in _STATEMENTS:
        for match in pattern.finditer(prose):
            target = _target(match)
            if target:
                begin = prose.rfind("\n", 0, match.start()) + 1
                yield _refined(relation, prose[begin : match.start()]), target, match.start(), match[0]


def _refined(relation: Relation, before: str) -> Relation:
    """A "fine-tuned version" that the same line calls an adapter is one."""
    if relation is Relation.FINE_TUNED_FROM and _ADAPTERS.search(before[-120:]):
        return Relation.ADAPTED_FROM
    return relation


def _merge_lists(prose: str) -> Iterator[tuple[Relation, str, int, str]]:
    for match in _MERGE_LIST.finditer(prose):
        lines = prose[match.end() : match.end() + 8000].splitlines()[1:]
        for line in lines[:_ENTRIES_LIMIT]:
            item = _LIST_ITEM.match(line)
            if item is None:
                if line.strip():
                    break
                continue
            target = _target(item)
            if target:
                yield Relation.MERGED_FROM, target, match.start(), f"{match[0]} {line.strip()}"


def _target(match: re.Match[str]) -> str | None:
    groups = match.groupdict()
    if groups["url"]:
        linked = model_name(groups["url"].rstrip(".,;")) if "/" in groups["url"] else None
        named = model_name(groups["text"].strip("`*_ "))
        if linked:
            return _model(linked)
        return _model(named) if named and "/" in named and not groups["url"].startswith("#") else None
    if groups["link"]:
        linked = model_name(groups["link"].rstrip(".,;:)*_"))
        return _model(linked) if linked else None
    bare = groups["bare"].rstrip(".,;:_")
    name = hub_path(bare) if model_name(bare) else None
    # "and/or", "train/test": a model's name has a digit, a capital or a hyphen.
    return _model(name) if name and name.count("/") == 1 and re.search(r"[\dA-Z\-_]", name.split("/")[1]) else None


def _model(name: str) -> str | None:
    """The name, unless it is an organisation's or says itself that it is a dataset's."""
    return None if "dataset" in name.lower() or name in _ORGANIZATIONS else name


def _papers(body: str, subject: str, file: str) -> Iterator[Claim]:
    seen: set[str] = set()
    for match in _ARXIV.finditer(body):
        paper = arxiv_id(match["id"])
        if paper and paper not in seen and len(seen) < _ENTRIES_LIMIT:
            seen.add(paper)
            yield Claim(
                subject=subject,
                relation=Relation.DESCRIBED_BY,
                target=f"arxiv:{paper}",
                kind="card_arxiv_link",
                file=file,
                field="text",
                excerpt=excerpt(match[0]),
                certain=False,
            )


def _bibtex(body: str, file: str) -> Iterator[Statement]:
    """Whole BibTeX entries, found by counting braces."""
    position = count = 0
    while count < 20 and (match := _BIBTEX.search(body, position)):
        depth, end = 1, match.end()
        stop = min(len(body), match.end() + 20_000)
        while end < stop and depth:
            depth += {"{": 1, "}": -1}.get(body[end], 0)
            end += 1
        if depth == 0:
            count += 1
            yield Statement(kind="bibtex", value=body[match.start() : end], file=file, field=match["key"])
        position = end
