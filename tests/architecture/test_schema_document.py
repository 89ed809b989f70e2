"""`docs/schema.md` is what the schema prints."""

from pathlib import Path

from graph_schema.schema_document import schema_document


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs/schema.md"
    assert page.read_text(encoding="utf-8") == schema_document(), (
        "print it anew: python -m graph_schema.schema_document > docs/schema.md"
    )
