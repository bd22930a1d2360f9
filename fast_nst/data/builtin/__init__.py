"""Training pictures that need no download: shipped photographs, painted scenes, and mixtures.

`make_picture` draws one picture from a random generator; `heldout_photographs` are for validation
and samples only. Everything a picture is made of is public domain, CC0 or computed here (see
`photographs.TRAINING`); the photographs lie inside scikit-image's wheel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fast_nst.data.builtin.color import camera
from fast_nst.data.builtin.mixtures import RECIPES, WEIGHTS
from fast_nst.data.builtin.photographs import heldout_photographs

__all__ = ["heldout_photographs", "make_picture"]


def make_picture(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """One training picture, uint8 [size, size, 3], the same for the same state of the generator.

    Meant for sizes of 64 to 512 px; smaller ones work. Raises UserError where scikit-image is not
    installed, and ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    recipe = RECIPES[int(rng.choice(len(RECIPES), p=WEIGHTS))]
    # Things smaller than this have no room for a scene; the picture is cut out of a larger one.
    drawn = max(size, 48)
    picture = camera(rng, recipe(rng, drawn))
    return np.ascontiguousarray(picture[:size, :size])
