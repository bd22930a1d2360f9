"""A gate that networks wait at while a test holds it shut: so no test depends on how fast a machine is."""

from __future__ import annotations

import fcntl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Gate:
    """A file that says how many may pass, nothing for all; threads and processes alike wait for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting = path.with_suffix(".waiting")
        path.touch()

    @contextmanager
    def shut(self, after: int = 0) -> Iterator[None]:
        """Nobody passes, or as many as `after` and then nobody; open at the end."""
        self._say(str(after))
        try:
            yield
        finally:
            self.open()

    def open(self) -> None:
        """Everybody passes."""
        self._say("")

    def let_one_pass(self) -> None:
        """One, and then nobody; `reached` says when the next one waits."""
        self._say("1")

    def reached(self) -> bool:
        """Whether somebody waits, since it was last shut."""
        return self._waiting.exists()

    def wait(self) -> None:
        """Pass it."""
        while True:
            with self.path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                left = file.read()
                if left != "0":
                    if left:
                        _replace(file, str(int(left) - 1))
                    return
                self._waiting.touch()
            time.sleep(0.01)

    @property
    def code(self) -> str:
        """`fast-nst` for `python -c`, its networks waiting at the gate before each run."""
        folder, path = str(Path(__file__).parent), str(self.path)
        return (
            f"import sys; sys.path.append({folder!r}); import gate; gate.hold_networks({path!r})\n"
            "from fast_nst.cli import main; sys.exit(main(sys.argv[1:]))"
        )

    def command(self, *arguments: object) -> list[str]:
        """A command line of it."""
        return [sys.executable, "-c", self.code, *map(str, arguments)]

    def _say(self, text: str) -> None:
        with self.path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._waiting.unlink(missing_ok=True)
            _replace(file, text)


def _replace(file: Any, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def hold_networks(path: str) -> None:
    """Let every network of this process wait at the gate of this file."""
    from fast_nst.runtime.stylizer import Stylizer

    run, gate = Stylizer.__call__, Gate(Path(path))

    def held(*arguments: Any, **options: Any) -> Any:
        gate.wait()
        return run(*arguments, **options)

    Stylizer.__call__ = held  # type: ignore[method-assign]


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Until something is true, however long it takes; an error when it never is."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
