"""How much memory there is, in and out of a container."""

from __future__ import annotations

from pathlib import Path

from fast_nst.runtime.memory import available_memory

GIB = 2**30


def container(folder: Path, limit: str) -> Path:
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{300 * 2**20}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {100 * 2**20}\n")
    return folder


def test_limit_of_the_container_counts_less_what_is_in_use(tmp_path: Path) -> None:
    assert available_memory(container(tmp_path, str(GIB // 2))) == GIB // 2 - 200 * 2**20
    assert available_memory(container(tmp_path, str(GIB // 8))) == 0


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    free = available_memory(tmp_path)
    assert free > 50 * 2**20
    assert available_memory(container(tmp_path, "max")) > free / 2
    assert available_memory(container(tmp_path, str(2**60))) > free / 2
