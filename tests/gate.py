"""A gate that networks wait at while a test holds it shut: so no test depends on how fast a machine is."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CODE = """
import fcntl, sys
from fast_nst.cli import main
from fast_nst.runtime.stylizer import Stylizer
run = Stylizer.__call__
def held(*arguments, **options):
    with open({path!r}) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
    return run(*arguments, **options)
Stylizer.__call__ = held
sys.exit(main(sys.argv[1:]))
"""


class Gate:
    """A lock on a file, which threads and processes alike wait for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Nobody passes; open at the end."""
        with self.path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def wait(self) -> None:
        """Until it is open."""
        with self.path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)

    @property
    def code(self) -> str:
        """`fast-nst` for `python -c`, its networks waiting at the gate before each run."""
        return _CODE.format(path=str(self.path))


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Until something is true, however long it takes; an error when it never is."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
