"""Observations as people read them: what was seen, where, and how much it speaks for or against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import exp

from dashboard.view_models.appearance import CONTRADICTION_COLOUR
from dashboard.view_models.document import Block
from dashboard.view_models.plain_text import visible
from graph_schema.records import Evidence

FOR_COLOUR = "#2f7d5b"
_FULL_BAR = 6.0
_PREFIX = re.compile(r"\b[0-9a-f]{12}\b")


def observation_block(item: Evidence, names: Mapping[str, str]) -> Block:
    """One observation: how much it speaks for or against, what was seen, and where."""
    share = min(abs(item.log_odds) / _FULL_BAR, 1.0) / 2
    speaks_for = item.log_odds >= 0
    source = " · ".join(filter(None, (item.file, item.field, item.tensor)))
    parts = [
        Block(
            look="observation-head",
            children=(
                Block(tag="span", look="cue", text=visible(item.kind).replace("_", " ")),
                Block(tag="span", look="quiet", text=odds_in_words(item.log_odds)),
            ),
        ),
        Block(
            look="track balance",
            tooltip=f"log-odds {item.log_odds:+.2f}",
            children=(
                Block(
                    look="bar",
                    start=0.5 if speaks_for else 0.5 - share,
                    share=share,
                    colour=FOR_COLOUR if speaks_for else CONTRADICTION_COLOUR,
                ),
            ),
        ),
        Block(tag="p", text=visible(with_names(item.statement, names))),
    ]
    if source:
        parts.append(Block(tag="code", look="source", text=visible(source)))
    if item.excerpt:
        parts.append(Block(tag="q", text=visible(item.excerpt)))
    return Block(look="observation", children=tuple(parts))


def odds_in_words(log_odds: float) -> str:
    """Natural log-odds as a factor.

    Examples
    --------
    >>> odds_in_words(2.3), odds_in_words(-0.7), odds_in_words(0), odds_in_words(50)
    ('10 to 1 for', '2.0 to 1 against', 'reported only', 'over 1,000 to 1 for')
    """
    if log_odds == 0:
        return "reported only"
    factor = exp(min(abs(log_odds), 10.0))
    shown = "over 1,000" if factor > 1000 else f"{factor:.1f}" if factor < 9.95 else f"{factor:,.0f}"
    return f"{shown} to 1 {'for' if log_odds > 0 else 'against'}"


def with_names(text: str, names: Mapping[str, str]) -> str:
    """A sentence of the inference, which knows ids alone, with names in place of their beginnings."""

    def named(found: re.Match[str]) -> str:
        known = [name for version, name in names.items() if version.startswith(found[0])]
        return known[0] if len(known) == 1 else found[0]

    return _PREFIX.sub(named, text)
