"""An interruption is one, whatever the driver does about it."""

import pytest

from cypher.connection import hides_interruption


def test_what_fails_while_an_interruption_is_dealt_with_hides_it() -> None:
    with pytest.raises(BufferError) as raised:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            try:
                raise ValueError("a step of the roll-back")
            except ValueError:
                raise BufferError("the next")  # noqa: B904
    assert hides_interruption(raised.value)
    assert not hides_interruption(BufferError("by itself"))
