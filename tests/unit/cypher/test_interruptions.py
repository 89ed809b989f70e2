"""An interruption is one, whatever the driver does about it."""

import pytest

from cypher.connection import hides_interruption


def roll_back() -> None:
    """As the driver does: one step fails, and so does what follows on that."""
    try:
        raise ValueError("a step")
    except ValueError:
        raise BufferError("the next")  # noqa: B904


def interrupted() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        roll_back()


def test_what_fails_while_an_interruption_is_dealt_with_hides_it() -> None:
    with pytest.raises(BufferError) as raised:
        interrupted()
    assert hides_interruption(raised.value)
    with pytest.raises(BufferError) as alone:
        roll_back()
    assert not hides_interruption(alone.value)
