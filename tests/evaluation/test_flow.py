"""Optical flow files, warping, and finding the sequences in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flow_files import sequence, write_flow, write_picture
from hypothesis import given
from hypothesis import strategies as st

from fast_nst.errors import UserError
from fast_nst.evaluation.flow import MAGIC, find_sequences, read_flow, read_transition, warp


def test_a_flow_file_is_read_as_written(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).normal(0, 9, (5, 7, 2)).astype(np.float32)
    write_flow(tmp_path / "a.flo", flow)
    assert np.array_equal(read_flow(tmp_path / "a.flo"), flow)


@given(data=st.binary(max_size=64))
def test_what_is_no_flow_file_is_named(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("flow") / "broken.flo"
    for head in (b"", np.float32(MAGIC).tobytes()):
        path.write_bytes(head + data)
        with pytest.raises(UserError, match=r"broken\.flo: "):
            read_flow(path)


@given(down=st.integers(-4, 4), across=st.integers(-4, 4))
def test_a_moved_picture_is_warped_back(down: int, across: int) -> None:
    wide = np.random.default_rng(1).integers(0, 256, (24, 30, 3), np.uint8)
    first = wide[4:20, 4:26]
    second = wide[4 - down : 20 - down, 4 - across : 26 - across]  # all things moved by down, across
    flow = np.full((16, 22, 2), (across, down), np.float32)
    back, inside = warp(second, flow)
    assert inside.sum() == (16 - abs(down)) * (22 - abs(across))
    assert np.array_equal(back[inside], first[inside])


def test_half_a_pixel_is_taken_between_and_unknown_flow_is_not_compared() -> None:
    ramp = np.repeat(np.arange(8.0)[None, :, None], 4, axis=0)
    flow = np.full((4, 8, 2), (0.5, 0), np.float32)
    flow[0, 0], flow[0, 1] = (1e10, 1e10), (np.nan, 0)
    back, inside = warp(ramp, flow)
    assert back[1, 3] == 3.5
    assert not inside[0, :2].any()
    assert not inside[:, 7].any()
    assert inside.sum() == 4 * 7 - 2


def test_sequences_are_found_with_their_masks_and_others_named(tmp_path: Path) -> None:
    sequence(tmp_path / "walk", range(2, 5))
    hidden = np.zeros((6, 8), np.uint8)
    hidden[0] = 255
    write_picture(tmp_path / "walk" / "occlusion_0002.png", hidden)
    write_picture(tmp_path / "walk" / "invalid_0002.png", hidden.T[:6, :6].repeat(2, 1)[:, :8])
    write_picture(tmp_path / "still" / "frame07.png", hidden)
    (tmp_path / "empty").mkdir()
    found, skipped = find_sequences(tmp_path)
    assert list(found) == ["walk"]
    assert [step.first.name for step in found["walk"]] == ["frame_0002.png", "frame_0003.png"]
    assert len(skipped) == 1
    assert "still: frames without a .flo file" in skipped[0]
    *_, compared = read_transition(found["walk"][0])
    assert not compared[0].any()
    assert not compared[:, :2].any()
    assert compared[1:, 2:].all()
    alone, _ = find_sequences(tmp_path / "walk")
    assert alone == found


def test_the_folders_of_sintel_and_the_names_of_middlebury(tmp_path: Path) -> None:
    for kind in ("clean", "occlusions", "invalid"):
        sequence(tmp_path / kind / "alley_1", range(1, 4))
    write_flow(tmp_path / "flow" / "alley_1" / "frame_0001.flo", np.zeros((6, 8, 2)))
    write_flow(tmp_path / "flow" / "alley_1" / "frame_0002.flo", np.zeros((6, 8, 2)))
    found, skipped = find_sequences(tmp_path)
    assert [len(step.masks) for step in found["alley_1"]] == [2, 2]
    assert found["alley_1"][1].second == tmp_path / "clean" / "alley_1" / "frame_0003.png"
    assert skipped == []
    whale = tmp_path / "whale"
    for number in (10, 11):
        write_picture(whale / f"frame{number}.png", np.zeros((6, 8, 3), np.uint8))
    write_flow(whale / "flow10.flo", np.zeros((6, 8, 2)))
    assert len(find_sequences(whale)[0]["whale"]) == 1


def test_a_part_of_another_size_is_named(tmp_path: Path) -> None:
    sequence(tmp_path, range(1, 3))
    write_flow(tmp_path / "flow_0001_to_0002.flo", np.zeros((6, 9, 2)))
    (step,) = find_sequences(tmp_path)[0][tmp_path.name]
    with pytest.raises(UserError, match=r"flow_0001_to_0002\.flo is 9x6, but frame_0001\.png is 8x6"):
        read_transition(step)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_sequences(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"--flow .*{name}"):
        find_sequences(tmp_path / name)
