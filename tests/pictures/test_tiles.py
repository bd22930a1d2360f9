"""Names below pictures: none is cut, however thin the pictures are."""

from __future__ import annotations

import numpy as np
import pytest

from fast_nst.pictures.tiles import labelled


@pytest.mark.parametrize("shape", [(90, 160, 3), (160, 3, 3), (1, 1, 3)])
def test_names_are_whole_below_their_pictures(shape: tuple[int, int, int]) -> None:
    names = ["gallery:the_great_wave_off_kanagawa", "ii", "gallery:the_great_wave_off_kanagaw"]
    gray = np.full(shape, 90, np.uint8)
    cells = labelled([gray] * 3, names)
    assert len({cell.shape for cell in cells}) == 1
    inked = []
    for cell in cells:
        row, column = np.argwhere((cell == 90).all(2))[0]
        assert (cell[row : row + shape[0], column : column + shape[1]] == 90).all()
        below = cell[row + shape[0] :]
        edges = np.concatenate([below[:, 0], below[:, -1], below[0], below[-1]])
        assert (edges == 255).all()
        inked.append(int((below < 128).all(2).sum()))
    assert inked[0] > inked[2] > 4 * inked[1] > 0
