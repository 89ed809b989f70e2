"""An interruption is not lost, wherever it comes."""

import signal
import time
from collections.abc import Iterator

import pytest

from modellake.interruption import interruptions_kept


@pytest.fixture(autouse=True)
def _heeded() -> Iterator[None]:
    """Interruptions raise, even where whoever started the tests in the background had them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted:
    """Interrupted while it is destroyed."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def work() -> None:
    with interruptions_kept():
        Interrupted()
        time.sleep(30)


def test_an_interruption_in_a_destructor_comes_again() -> None:
    with pytest.raises(KeyboardInterrupt):
        work()


def test_an_interruption_in_the_last_destructor_comes_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), interruptions_kept():
        Interrupted()


def test_without_one_nothing_happens() -> None:
    with interruptions_kept():
        pass
