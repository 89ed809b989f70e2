"""Names of models and datasets as people write them: what is a name, what a path on a disk, what a link."""

from __future__ import annotations

import re
from urllib.parse import unquote

_ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,95}(?:/[A-Za-z0-9_][\w.\-]{0,95})?", re.ASCII)
_LINK = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<path>[^?#\s]+)", re.IGNORECASE)
_RESERVED = frozenset(
    [
        "datasets",
        "spaces",
        "docs",
        "papers",
        "blog",
        "collections",
        "models",
        "tasks",
        "join",
        "login",
        "settings",
        "new",
        "pricing",
        "search",
        "learn",
    ]
)
_FILE = re.compile(r".*\.(safetensors|bin|pt|pth|ckpt|gguf|onnx|json|yaml|yml|md|py)", re.IGNORECASE)
_NOTHING = frozenset(
    ["none", "null", "unknown", "n/a", "na", "nan", "false", "true", "tbd", "todo", "-", "scratch", "from_scratch"]
)


def model_name(text: object) -> str | None:
    """The name of a model in a field that should hold one; None for a local path, a placeholder or anything else.

    Examples
    --------
    >>> model_name("https://huggingface.co/org/name/tree/main"), model_name("bert-base-uncased")
    ('org/name', 'bert-base-uncased')
    >>> model_name("./checkpoint-500"), model_name("/data/llama"), model_name("C:\\\\models\\\\x"), model_name("None")
    (None, None, None, None)
    """
    if not isinstance(text, str):
        return None
    value = text.strip().strip("\"'`").strip()
    link = _LINK.fullmatch(value)
    if link:
        return hub_path(link["path"])
    value = value.removeprefix("hf://").removesuffix("/")
    if not _ID.fullmatch(value) or value.lower() in _NOTHING or _FILE.fullmatch(value):
        return None
    if value.lower().startswith(("models--", "checkpoint-", "epoch-")) or "/checkpoint-" in value.lower():
        return None
    return None if _local(value) else value


def _local(value: str) -> bool:
    head = value.split("/", 1)[0].lower()
    folders = "output outputs results models model checkpoints checkpoint data tmp content mnt home workspace root out"
    return "/" in value and head in folders.split()


def hub_path(path: str) -> str | None:
    """The model that a path on the hub leads to; None for datasets, spaces, docs and other pages.

    Examples
    --------
    >>> hub_path("org/name/blob/main/README.md"), hub_path("datasets/org/data"), hub_path("gpt2")
    ('org/name', None, 'gpt2')
    """
    parts = [unquote(part).rstrip(").,;:'\"") for part in path.strip("/").split("/")]
    if not parts or parts[0].lower() in _RESERVED:
        return None
    name = parts[0] if len(parts) == 1 else f"{parts[0]}/{parts[1]}"
    return name if _ID.fullmatch(name) else None


def dataset_name(text: object) -> str | None:
    """The name of a dataset in a field that should hold one; links are shortened to the name.

    Examples
    --------
    >>> dataset_name("https://huggingface.co/datasets/org/data"), dataset_name("imdb"), dataset_name("")
    ('org/data', 'imdb', None)
    """
    if not isinstance(text, str):
        return None
    value = text.strip().strip("\"'`").strip()
    link = _LINK.fullmatch(value)
    if link:
        parts = link["path"].strip("/").split("/")
        value = "/".join(parts[1:3]) if parts[0] == "datasets" else ""
    if not value or value.lower() in _NOTHING or value.startswith((".", "/", "~")) or "\\" in value or len(value) > 200:
        return None
    return " ".join(value.split())


TEMPLATE_PAPERS = frozenset(("1910.09700",))
"""Papers that the hub's card template cites in every card: they describe no model."""


def arxiv_id(text: str) -> str | None:
    """An arXiv identifier at the start of a text, without its version; None for the card template's own reference.

    Examples
    --------
    >>> arxiv_id("2405.18432v2"), arxiv_id("cs/0112017"), arxiv_id("hello")
    ('2405.18432', 'cs/0112017', None)
    """
    match = re.match(r"(\d{4}\.\d{4,5}|[a-z\-]+(?:\.[A-Z]{2})?/\d{7})(v\d+)?(?!\d)", text)
    return match[1] if match and match[1] not in TEMPLATE_PAPERS else None
