"""Video sequences with known optical flow: Middlebury .flo files, occlusion masks, warping. Pure numpy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import decode_picture, is_picture_name

MAGIC = 202021.25
UNKNOWN = 1e9  # px; a larger flow means that nobody knows
FRAME, FLOW = r"frame_?(\d+)", r"(?:flow|frame)_?(\d+)(?:_to_(\d+))?"
MASKS = (r"occlusions?_?(\d+)", r"invalid_?(\d+)")


@dataclass(frozen=True)
class Transition:
    """Two frames, and where each pixel of the first one goes."""

    first: Path
    second: Path
    flow: Path
    masks: tuple[Path, ...]
    """Pictures that are not black at pixels of the first frame that must not be compared."""


def read_flow(path: Path) -> np.ndarray:
    """Optical flow of a Middlebury .flo file: float32 [H, W, 2], px to the right and px down.

    Raises UserError if it is no such file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or one_line(error)}") from error
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(MAGIC):
        raise UserError(f"{path}: not a Middlebury .flo file")
    width, height = (int(side) for side in np.frombuffer(data, "<i4", 2, 4))
    if min(width, height) < 1 or len(data) != 12 + 8 * width * height:
        raise UserError(f"{path}: {len(data)} bytes are not a flow of {width}x{height} pixels")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)


def warp(image: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A frame seen from an earlier one: ``image`` taken bilinearly at x + flow(x).

    Args:
        image: [H, W, C], the later frame.
        flow: [H, W, 2] px from the earlier frame to the later, on the earlier one's pixels.

    Returns:
        float32 [H, W, C], and a mask [H, W] of the pixels whose flow is known and ends inside the frame.
    """
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    known = np.isfinite(flow).all(2) & (np.abs(flow) < UNKNOWN).all(2)
    inside = known & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[..., None], (y - top)[..., None]
    values = image.astype(np.float32)
    upper = values[top, left] * (1 - across) + values[top, right] * across
    lower = values[bottom, left] * (1 - across) + values[bottom, right] * across
    return upper * (1 - down) + lower * down, inside


def read_transition(transition: Transition) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both frames, uint8 [H, W, 3], the flow [H, W, 2], and which pixels [H, W] may be compared.

    Raises UserError where a file cannot be read or is of another size.
    """
    first, second = (decode_picture(path).pixels for path in (transition.first, transition.second))
    flow = read_flow(transition.flow)
    compared = np.ones(first.shape[:2], bool)
    parts = {transition.second: second, transition.flow: flow}
    parts |= {path: decode_picture(path).pixels for path in transition.masks}
    for path, part in parts.items():
        if part.shape[:2] != first.shape[:2]:
            sizes = [f"{width}x{height}" for height, width in (part.shape[:2], first.shape[:2])]
            raise UserError(f"{path} is {sizes[0]}, but {transition.first.name} is {sizes[1]}")
    for path in transition.masks:
        compared &= ~parts[path].any(axis=2)
    return first, second, flow, compared


def find_sequences(folder: Path) -> tuple[dict[str, list[Transition]], list[str]]:
    """Sequences by name, and why others were left out.

    ``folder`` is a sequence or holds sequences, folders with ``frame_0002.png``, ``frame_0003.png``,
    ``flow_0002_to_0003.flo`` and, where known, ``occlusion_0002.png`` and ``invalid_0002.png`` (white = not
    compared); or it is the ``training`` folder of MPI-Sintel (``flow``, ``clean`` or ``final``,
    ``occlusions``, ``invalid``).

    Raises UserError if there is no sequence with flow.
    """
    if not folder.is_dir():
        raise UserError(f"--flow {folder} is not a folder")
    sintel = next((folder / name for name in ("clean", "final") if (folder / name).is_dir()), None)
    found: dict[str, list[Transition]] = {}
    skipped: list[str] = []
    for place in _folders(folder / "flow" if sintel else folder):
        if sintel:
            masks = [_numbered(folder / name / place.name, FRAME) for name in ("occlusions", "invalid")]
            frames = _numbered(sintel / place.name, FRAME)
        else:
            masks = [_numbered(place, pattern) for pattern in MASKS]
            frames = _numbered(place, FRAME)
        transitions = _transitions(place, frames, masks)
        if transitions:
            found[place.name] = transitions
        elif frames:
            skipped.append(f"{place}: frames without a .flo file that fits them")
    if not found:
        raise UserError(f"--flow {folder} holds no sequence of frames with .flo files")
    return found, skipped


def _folders(folder: Path) -> list[Path]:
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [folder, *below]


def _numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """The pictures of a folder whose name fits, by their number."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    matches = ((re.fullmatch(pattern, path.stem), path) for path in files if is_picture_name(path))
    return {int(match[1]): path for match, path in matches if match}


def _transitions(flows: Path, frames: dict[int, Path], masks: list[dict[int, Path]]) -> list[Transition]:
    found = []
    for path in sorted(flows.glob("*.flo")):
        match = re.fullmatch(FLOW, path.stem)
        if match is None:
            continue
        first = int(match[1])
        second = int(match[2]) if match[2] else first + 1
        if first in frames and second in frames:
            hidden = tuple(mask[first] for mask in masks if first in mask)
            found.append(Transition(frames[first], frames[second], path, hidden))
    return found
