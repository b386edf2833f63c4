"""Stop signals: Ctrl-C, SIGTERM of a batch system and SIGHUP of a closed terminal all mean 130.

Where nothing is being written a signal ends the process at once: an exception raised in the middle
of an import can be swallowed there, and one line says as much as a traceback. What writes files
under a draft name asks for an exception instead, to remove them; a run listens by itself.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def listen() -> None:
    """End at once with status 130 from now on."""
    for number in _heeded():
        signal.signal(number, _end)


def ignore() -> None:
    """The command is over and its status known: a signal on the way out does not change it."""
    for number in _heeded():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def tidily() -> Iterator[None]:
    """Raise KeyboardInterrupt inside instead, so that drafts are removed."""
    before = {number: signal.signal(number, _raise) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heeded() -> list[signal.Signals]:
    """What was ignored on purpose stays ignored: nohup ignores SIGHUP, a script's & SIGINT."""
    return [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"tdlab: interrupted\n")
    os._exit(INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
