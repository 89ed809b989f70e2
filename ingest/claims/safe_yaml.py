"""YAML from strangers: no tags, few aliases, bounded depth and size, checked before anything is built."""

from __future__ import annotations

import yaml

from graph_schema.errors import FormatError, UnsafeFileError

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: the same grammar, slower
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

TEXT_LIMIT = 4 << 20
DEPTH_LIMIT = 48
ALIAS_LIMIT = 16
EVENT_LIMIT = 400_000


def load_yaml(text: str, *, where: str) -> object:
    """Parse YAML into plain lists, dicts and scalars.

    Parameters
    ----------
    text : str
    where : str
        File (and field), for messages.

    Raises
    ------
    UnsafeFileError
        If it is too large, too deep, or has so many aliases that expanding them could exhaust memory.
    FormatError
        If it is no YAML, or has a tag that stands for a Python object.

    Examples
    --------
    >>> load_yaml("a: [1, b]", where="card")
    {'a': [1, 'b']}
    """
    if len(text) > TEXT_LIMIT:
        raise UnsafeFileError(f"has more than {TEXT_LIMIT} characters of YAML", where=where)
    try:
        _check_events(text, where)
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())[:160]
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise FormatError(f"is no valid YAML{line}: {reason}", where=where, remedy="correct the YAML") from error
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FormatError(f"is no valid YAML: {str(error)[:160]}", where=where, remedy="correct the YAML") from error


def _check_events(text: str, where: str) -> None:
    # The parser walks events without recursion, so that depth is known before the recursive constructor runs.
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > DEPTH_LIMIT or aliases > ALIAS_LIMIT or count > EVENT_LIMIT:
            raise UnsafeFileError("YAML is nested too deeply, too long, or has too many aliases", where=where)
