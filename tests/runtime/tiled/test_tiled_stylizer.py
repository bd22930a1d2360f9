"""Tiles against the whole picture, through the real onnxruntime."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import graphs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fast_nst.data.builtin import make_picture
from fast_nst.errors import UserError
from fast_nst.runtime import color
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.tiled.anysize import AnySizeStylizer
from fast_nst.runtime.tiled.stylizer import TiledStylizer

ROOT = Path(__file__).parents[3]
BODIES = [
    graphs.johnson,
    graphs.shuffled,
    graphs.blurred,
    graphs.skipping,
    graphs.reshaped,
    graphs.plain,
]


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Light from one corner: no tile has the statistics of the whole."""
    side = max(height, width, 64)
    pixels = make_picture(np.random.default_rng(seed), side)[:height, :width]
    light = np.linspace(1, 0.3, height)[:, None, None] * np.linspace(0.4, 1, width)[:, None]
    return (pixels * light).astype(np.uint8)


def stylizer(body: Callable[[graphs.Graph, str], str], opset: int = 22) -> Stylizer:
    return Stylizer(graphs.Graph().model(body, opset), threads=1, providers=["cpu"])


def assert_same(tiled: np.ndarray, whole: np.ndarray) -> None:
    assert tiled.shape == whole.shape
    difference = np.abs(tiled.astype(int) - whole)
    assert (difference <= 1).mean() >= 0.9999
    assert difference.max() <= 2


@pytest.fixture(scope="module")
def shipped() -> Stylizer:
    return Stylizer("strokes", threads=1, providers=["cpu"])


# --- the same picture ----------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("height", "width"), [(203, 150), (64, 331)])
def test_tiles_give_the_whole_picture_whatever_the_network(
    body: Callable[[graphs.Graph, str], str], height: int, width: int
) -> None:
    model, picture = stylizer(body), photograph(height, width)
    assert_same(TiledStylizer(model, 64)(picture), model(picture))


def test_tiles_of_a_shipped_style_give_the_whole_picture(shipped: Stylizer) -> None:
    tiled = {side: TiledStylizer(shipped, side) for side in (64, 97)}

    @given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([64, 97]))
    @example(129, 64, 64)  # one column of tiles
    @example(65, 65, 64)  # a picture hardly larger than a tile
    @example(3, 150, 64)  # thinner than the padding
    @settings(max_examples=6, deadline=None)
    def check(height: int, width: int, side: int) -> None:
        picture = photograph(height, width)
        assert_same(tiled[side](picture), shipped(picture))

    check()


def test_no_tile_border_shows(shipped: Stylizer) -> None:
    """Errors at a seam would be few: they must not be more frequent than elsewhere."""
    picture = photograph(192, 192)
    difference = TiledStylizer(shipped, 64)(picture) != shipped(picture)
    seams = np.isin(np.arange(192), [62, 63, 64, 65, 126, 127, 128, 129])
    assert difference[seams].mean() < 0.01
    assert difference[:, seams].mean() < 0.01


def test_values_far_from_zero_keep_their_variance() -> None:
    """E[x^2] - E[x]^2 in float32 would find none in a picture this flat."""

    def flat(g: graphs.Graph, x: str) -> str:
        one, zero = g.constant([1.0] * 3), g.constant([0.0] * 3)
        return g.add("InstanceNormalization", g.add("Add", x, g.constant(20.0)), one, zero)

    noise = np.random.default_rng(0).integers(120, 123, (152, 152, 3), np.uint8)
    values = noise / 255.0
    normal = (values - values.mean((0, 1))) / np.sqrt(values.var((0, 1)) + 1e-5)
    expected = np.rint(255 / (1 + np.exp(-normal))).astype(np.uint8)
    assert_same(TiledStylizer(stylizer(flat), 64)(noise), expected)


def test_batches_and_pil_images_come_back_in_kind() -> None:
    model = stylizer(graphs.johnson)
    tiled = TiledStylizer(model, 64)
    batch = np.stack([photograph(90, 70, seed) for seed in range(2)])
    assert_same(tiled(batch), model(batch))
    image = Image.fromarray(batch[0])
    assert_same(np.asarray(tiled(image)), model(batch[0]))


def test_strength_and_color_are_those_of_the_whole_picture() -> None:
    tiled, picture = TiledStylizer(stylizer(graphs.johnson), 64), photograph(130, 100)
    full = tiled(picture)
    colored = color.preserve_color(picture, full)
    mixed = color.blend(picture, colored, 0.4)
    assert np.array_equal(tiled(picture, preserve_color=True), colored)
    assert np.array_equal(tiled(picture, preserve_color=True, strength=0.4), mixed)
    assert np.array_equal(tiled(picture, strength=0.0), picture)
    with pytest.raises(ValueError, match="strength"):
        tiled(picture, strength=2.0)


# --- what cannot be ------------------------------------------------------------------------------


def test_network_that_looks_at_the_whole_picture_is_refused_not_run_wrong() -> None:
    with pytest.raises(UserError, match="cannot be run in tiles: a layer other than instance norm"):
        TiledStylizer(stylizer(graphs.attentive))


def test_old_file_says_which_opset_it_takes() -> None:
    with pytest.raises(UserError, match="opset 17, export it with 18"):
        TiledStylizer(stylizer(graphs.plain, opset=17))


def test_tile_too_small_is_refused(shipped: Stylizer) -> None:
    with pytest.raises(UserError, match="--tile must be at least 64, not 8"):
        TiledStylizer(shipped, 8)


# --- memory and disk -----------------------------------------------------------------------------

PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from fast_nst.runtime.scratch import Plane
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.tiled.stylizer import TiledStylizer
tiled = TiledStylizer(Stylizer(sys.argv[1], threads=1), 256)
for height, width in ((512, 512), (512, 512), (1536, 1536)):
    source, target = Plane((height, width, 3), np.uint8), Plane((height, width, 3), np.uint8)
    tiled.run(source, target)
    # Not getrusage's ru_maxrss: a child process starts with that of its parent.
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_picture(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(graphs.Graph().model(graphs.johnson))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "model.onnx")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    _, small, large = (int(line) * 1024 for line in run.stdout.split())
    assert large - small < 12 * 2**20  # nine times the pixels, each with 14 bytes of kept tensors


FULL_DISK = """
import resource, sys
import numpy as np
from fast_nst.errors import UserError
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.tiled.stylizer import TiledStylizer
tiled = TiledStylizer(Stylizer(sys.argv[1], threads=1), 64)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    tiled(np.zeros((400, 400, 3), np.uint8))
except UserError as error:
    sys.exit(str(error))
"""


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(graphs.Graph().model(graphs.johnson))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "model.onnx")]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={"TMPDIR": str(scratch), "PATH": ""}
    )
    assert run.stderr.startswith("cannot keep 0.0 GB of scratch data in " + str(scratch))
    assert "set TMPDIR" in run.stderr
    assert run.stderr.count("\n") == 1
    assert [path for path in scratch.iterdir() if path.name != ".ses"] == []  # onnxruntime's own


# --- whole or in tiles ---------------------------------------------------------------------------


def test_tiles_are_used_by_themselves_where_memory_is_short(shipped: Stylizer) -> None:
    gigabyte = 2**30
    assert not AnySizeStylizer(shipped, "auto", gigabyte).in_tiles(512, 512)
    assert AnySizeStylizer(shipped, "auto", gigabyte).in_tiles(3000, 3000)
    assert not AnySizeStylizer(shipped, "auto", 8 * gigabyte).in_tiles(3000, 3000)
    assert not AnySizeStylizer(shipped).in_tiles(64, 64)


def test_a_given_tile_is_used_for_all_that_is_larger() -> None:
    model = stylizer(graphs.johnson)
    chosen = AnySizeStylizer(model, 96)
    assert (chosen.in_tiles(96, 96), chosen.in_tiles(97, 3)) == (False, True)
    picture = photograph(150, 101)
    assert_same(np.asarray(chosen(picture)), model(picture))


def test_model_that_knows_no_tiles_is_run_whole_unless_tiles_are_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, picture = stylizer(graphs.attentive), photograph(100, 80)
    assert np.array_equal(np.asarray(AnySizeStylizer(model, "auto", 1.0)(picture)), model(picture))
    assert "cannot be run in tiles" in caplog.text
    with pytest.raises(UserError, match="cannot be run in tiles"):
        AnySizeStylizer(model, 64)
