"""Licences of data against those of the models trained on it: which conditions a model's licence does not repeat.

What a licence asks is read off its name alone. Whether a model is bound by the licence of its data is a question for
lawyers; here it is only said that the two differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dashboard.view_models.plain_text import visible

_WORD = re.compile(r"[a-z]+")
_CREATIVE = frozenset({"cc", "by", "creativecommons"})
_CONDITIONS = ("no commercial use", "no altered copies", "the same licence for what is made of it")
_ALONE = {
    "noncommercial": _CONDITIONS[0],
    "agpl": _CONDITIONS[2],
    "gpl": _CONDITIONS[2],
    "odbl": _CONDITIONS[2],
}
_IN_CREATIVE_COMMONS = {"nc": _CONDITIONS[0], "nd": _CONDITIONS[1], "sa": _CONDITIONS[2]}


def conditions(license: str) -> tuple[str, ...]:
    """What the name of a licence says that it asks of those who use the thing; empty for the others.

    Examples
    --------
    >>> conditions("cc-by-nc-sa-4.0")
    ('no commercial use', 'the same licence for what is made of it')
    >>> conditions("https://creativecommons.org/licenses/by-nd/4.0/"), conditions("Apache-2.0")
    (('no altered copies',), ())
    """
    words = set(_WORD.findall(license.lower().replace("non-commercial", "noncommercial")))
    # A version number may be glued to the name, as in gpl3.
    found = {_ALONE[word] for word in words if word in _ALONE}
    if words & _CREATIVE:
        found |= {asked for word, asked in _IN_CREATIVE_COMMONS.items() if word in words}
    return tuple(item for item in _CONDITIONS if item in found)


def conflict(data: str | None, models: Iterable[str]) -> str | None:
    """Say which conditions of the data's licence a model's licence does not repeat.

    Parameters
    ----------
    data : str, optional
        Licence of the data.
    models : iterable of str
        Licences under which the model is published; of several, the one that repeats least is named.

    Returns
    -------
    str or None
        One sentence; None where nothing is missing, or where either states no licence.

    Examples
    --------
    >>> print(conflict("cc-by-nc-4.0", ["mit"]))
    The data's licence, cc-by-nc-4.0, asks for no commercial use; the model's, mit, does not.
    >>> conflict("cc-by-nc-4.0", ["cc-by-nc-sa-4.0"]), conflict("mit", ["gpl-3.0"]), conflict("cc-by-nc-4.0", [])
    (None, None, None)
    """
    asked = conditions(data or "")
    worst: tuple[tuple[str, ...], str] = ((), "")
    for license in models:
        missing = tuple(item for item in asked if item not in conditions(license))
        worst = max(worst, (missing, license), key=lambda item: len(item[0]))
    missing, license = worst
    if not missing:
        return None
    return visible(f"The data's licence, {data}, asks for {' and '.join(missing)}; the model's, {license}, does not.")
