from __future__ import annotations

import pytest

from cypher.library import load_query, parse_query, query_names
from graph_schema.errors import QueryError
from graph_schema.labels import LINEAGE

GOOD = """\
// q: does it.
//
// $a: STRING   what
//
// -> b: STRING, c: LIST<STRING>
MATCH (n {id: $a}) RETURN n.b AS b, collect(n.c) AS c ORDER BY b
"""


@pytest.mark.parametrize("name", query_names())
def test_every_query_agrees_with_its_header(name):
    query = load_query(name)
    assert query.doc
    assert query.columns


@pytest.mark.parametrize("name", query_names())
def test_lineage_queries_name_every_relation(name):
    text = load_query(name).text
    if "FINE_TUNED_FROM" in text:
        assert "|".join(LINEAGE) in text


def test_a_good_query():
    query = parse_query("q", GOOD)
    assert query.parameters == {"a": "STRING"}
    assert query.columns == {"b": "STRING", "c": "LIST<STRING>"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("// q: does it.", "// other: does it."),
        ("// q: does it.", "// q:"),
        ("$a: STRING", "$a: TEXT"),
        ("$a: STRING", "$z: STRING"),
        ("-> b: STRING, c", "-> c"),
        ("-> b: STRING, c", "-> b: STRING, d"),
        ("{id: $a}", "{id: $a, x: $other}"),
    ],
)
def test_a_header_that_drifts_is_refused(old, new):
    with pytest.raises(QueryError):
        parse_query("q", GOOD.replace(old, new, 1))
