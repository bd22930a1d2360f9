"""A store as fsspec knows them, that is neither this machine's disk nor reliable."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem


class Shop(AbstractFileSystem):
    """shop://PATH is a local path, but files go in and out by copies only, and not every copy succeeds.

    A name with "flaky" in it fails twice, one with "gone" always, one with "killer" ends the process.
    One with "held" leaves the id of the process that asks for it in PATH.held and comes with PATH.go.
    """

    protocol = "shop"
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._disk = LocalFileSystem()

    def ls(self, path: str, detail: bool = True, **more: Any) -> list[Any]:
        return list(self._disk.ls(path, detail=detail))

    def info(self, path: str, **more: Any) -> dict[str, Any]:
        return dict(self._disk.info(path))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._disk.makedirs(path, exist_ok=exist_ok)

    def get_file(self, rpath: str, lpath: str, **more: Any) -> None:
        name = Path(rpath).name
        if "killer" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "gone" in name:
            raise FileNotFoundError(rpath)
        attempts = Path(f"{rpath}.attempts")
        if "flaky" in name and (not attempts.exists() or attempts.stat().st_size < 2):
            with attempts.open("a") as stream:
                stream.write("x")
            raise ConnectionResetError("the shop is closed")
        if "held" in name:
            Path(f"{rpath}.held").write_text(str(os.getpid()))
            while not Path(f"{rpath}.go").exists():
                time.sleep(0.01)
        self._disk.get_file(rpath, lpath)

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        self._disk.put_file(lpath, rpath)

    def pipe_file(self, path: str, value: bytes, **more: Any) -> None:
        self._disk.pipe_file(path, value)

    def mv(self, path1: str, path2: str, **more: Any) -> None:
        self._disk.mv(path1, path2)

    def rm_file(self, path: str) -> None:
        self._disk.rm_file(path)
