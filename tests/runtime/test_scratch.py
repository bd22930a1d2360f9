"""Arrays on disk behave as numpy's, and a full disk is said in time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.errors import UserError
from fast_nst.runtime.scratch import Plane, check_room

ENDS = st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 12))).map(lambda ends: slice(*ends))


@given(st.lists(st.tuples(ENDS, ENDS), max_size=5), st.sampled_from([np.uint8, np.float16, np.float32]))
@settings(max_examples=60, deadline=None)
def test_rectangles_are_read_and_written_as_in_memory(
    windows: list[tuple[slice, slice]], dtype: type
) -> None:
    plane, array = Plane((9, 7, 3), dtype), np.zeros((9, 7, 3), dtype)
    for number, window in enumerate(windows):
        part = np.arange(array[window].size).reshape(array[window].shape).astype(dtype) + dtype(number)
        plane[window] = array[window] = part
        assert np.array_equal(plane[window], part)
    assert np.array_equal(plane[:, :], array)
    assert plane.read_bytes(0, 10_000) == array.tobytes()


def test_parts_of_views_are_written_right() -> None:
    plane, array = Plane((6, 8, 2), np.uint8), np.arange(96, dtype=np.uint8).reshape(8, 6, 2)
    plane[:, :] = array.transpose(1, 0, 2)
    assert np.array_equal(plane[:, :], array.transpose(1, 0, 2))


def test_part_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Plane((4, 4, 1), np.uint8)[0:2, 0:2] = np.zeros((2, 3, 1), np.uint8)


def test_files_have_no_name_and_lie_where_tmpdir_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plane = Plane((4, 4, 1), np.uint8)
    assert list(tmp_path.iterdir()) == []  # nothing that a killed process could leave
    plane.close()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(UserError, match=r"scratch data in .*missing: No such file or directory; set TMPDIR"):
        Plane((4, 4, 1), np.uint8)


def test_too_little_room_is_said_before_the_work() -> None:
    check_room(1000)
    with pytest.raises(UserError, match=r"scratch files need 1000000000\.0 GB, .* set TMPDIR"):
        check_room(1e18)
