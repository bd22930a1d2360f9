"""The batch job: what is read, where it is written, what happens to the bad ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from generated_clips import make_clip
from PIL import Image

from fast_nst.data.builtin import make_picture
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture, encode_picture
from fast_nst.runtime.batch.options import Report, StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files

ROOT = Path(__file__).parents[3]


def noise(height: int = 9, width: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def picture(path: Path, height: int = 9, width: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_picture(path, noise(height, width))
    return path


def stylize(inputs: list[Path | str], model: Path, output: Path, **options: object) -> Report:
    settings = StylizeOptions(model=str(model), output=output, threads=1, **options)
    return stylize_files([str(path) for path in inputs], settings)


def names(report: Report, output: Path) -> list[str]:
    return [path.relative_to(output).as_posix() for path in report.written]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test runs in a fresh folder, as a user in theirs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- pictures in, pictures out -------------------------------------------------------------------


def test_twenty_pictures_of_which_three_are_broken(tmp_path: Path, tiny_model: Path) -> None:
    photos = tmp_path / "photos"
    good = [picture(photos / f"{n:02}.png", height=5 + n, width=30 - n) for n in range(17)]
    (photos / "empty.jpg").touch()
    (photos / "text.png").write_text("not a picture")
    picture(photos / "cut.png", 64, 64)
    (photos / "cut.png").write_bytes((photos / "cut.png").read_bytes()[:2000])
    report = stylize([photos], tiny_model, tmp_path / "out")
    assert [path.name for path, _ in report.skipped] == ["cut.png", "empty.jpg", "text.png"]
    assert all(reason and "\n" not in reason for _, reason in report.skipped)
    assert sorted((tmp_path / "out").iterdir()) == report.written
    for source, target in zip(good, report.written, strict=True):
        # Each keeps its own size: none is forced to the first one's.
        assert np.array_equal(decode_picture(target).pixels, 255 - decode_picture(source).pixels)


def test_tree_below_a_folder_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("a.png", "x/a.png", "x/y/b.jpg", ".hidden/c.png"):
        picture(tmp_path / "in" / name)
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out")
    assert names(report, tmp_path / "out") == ["a.png", "x/a.png", "x/y/b.jpg"]


def test_several_folders_do_not_mix(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("one/001.png", "two/001.png"):
        picture(tmp_path / name)
    report = stylize([tmp_path / "one", tmp_path / "two"], tiny_model, tmp_path / "out")
    assert names(report, tmp_path / "out") == ["one/001.png", "two/001.png"]


def test_quoted_patterns_are_expanded_and_keep_their_tree(inside: Path, tiny_model: Path) -> None:
    for name in ("in/a.png", "in/x/b.png", "in/x/c.jpg", "in/x/notes.png.txt"):
        picture(inside / name) if not name.endswith("txt") else (inside / name).touch()
    out = Path("out")
    assert names(stylize(["in/**/*.png"], tiny_model, out), out) == ["a.png", "x/b.png"]
    assert names(stylize(["in/x/*"], tiny_model, out), out) == ["b.png", "c.jpg"]
    assert names(stylize(["**/b.png"], tiny_model, out), out) == ["in/x/b.png"]


def test_name_with_brackets_is_a_file_first(tmp_path: Path, tiny_model: Path) -> None:
    picture(tmp_path / "photo[1].png")
    report = stylize([tmp_path / "photo[1].png"], tiny_model, tmp_path / "out")
    assert names(report, tmp_path / "out") == ["photo[1].png"]


def test_one_picture_goes_to_the_file_named(tmp_path: Path, tiny_model: Path) -> None:
    source = picture(tmp_path / "a.png")
    report = stylize([source], tiny_model, tmp_path / "new" / "b.webp")
    assert report.written == [tmp_path / "new" / "b.webp"]
    assert decode_picture(report.written[0]).format == "WEBP"


def test_format_option_and_unwritable_input_formats(tmp_path: Path, tiny_model: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "in" / "b.gif")
    Image.new("RGB", (4, 4)).save(tmp_path / "in" / "c.jfif", "JPEG")
    plain = stylize([tmp_path / "in"], tiny_model, tmp_path / "plain")
    assert names(plain, tmp_path / "plain") == ["a.png", "b.png", "c.jpg"]
    webp = stylize([tmp_path / "in"], tiny_model, tmp_path / "webp", format="WebP")
    assert {decode_picture(path).format for path in webp.written} == {"WEBP"}


def test_same_name_in_two_formats_gives_two_results(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("a.jpg", "a.png", "b.png"):
        picture(tmp_path / "in" / name)
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out", format="webp")
    assert names(report, tmp_path / "out") == ["a.jpg.webp", "a.png.webp", "b.webp"]


def test_picture_named_twice_is_done_once(inside: Path, tiny_model: Path) -> None:
    picture(inside / "in" / "a.png")
    report = stylize(["in", "in/a.png", "in/*.png"], tiny_model, Path("out"))
    assert names(report, Path("out")) == ["a.png"]


@pytest.mark.parametrize(("height", "width", "expected"), [(40, 20, (30, 15)), (3, 9, (10, 30))])
def test_size_is_the_longer_side_of_the_result(
    tmp_path: Path, tiny_model: Path, height: int, width: int, expected: tuple[int, int]
) -> None:
    source = picture(tmp_path / "a.png", height, width)
    report = stylize([source], tiny_model, tmp_path / "out", size=30)
    assert decode_picture(report.written[0]).pixels.shape[:2] == expected


def test_very_thin_picture_survives_a_small_size(tmp_path: Path, tiny_model: Path) -> None:
    report = stylize([picture(tmp_path / "a.png", 1, 200)], tiny_model, tmp_path / "out", size=10)
    assert decode_picture(report.written[0]).pixels.shape == (1, 10, 3)


def test_strength_and_color_reach_the_model(tmp_path: Path, tiny_model: Path) -> None:
    source = picture(tmp_path / "a.png")
    kept = stylize([source], tiny_model, tmp_path / "kept", strength=0.0)
    assert np.array_equal(decode_picture(kept.written[0]).pixels, noise())
    color = stylize([source], tiny_model, tmp_path / "color", preserve_color=True)
    assert not np.array_equal(decode_picture(color.written[0]).pixels, 255 - noise())


def test_photographs_details_are_kept_and_it_is_turned_once(tmp_path: Path, tiny_model: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    Image.fromarray(noise(8, 16)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    report = stylize([tmp_path / "a.jpg"], tiny_model, tmp_path / "out")
    with Image.open(report.written[0]) as image:
        assert image.size == (8, 16)
        assert image.getexif()[0x010F] == "Camera"
        assert 0x0112 not in image.getexif()


@pytest.mark.parametrize("mode", ["RGBA", "L", "I;16", "P", "CMYK", "1"])
def test_any_kind_of_picture_can_be_stylized(tmp_path: Path, tiny_model: Path, mode: str) -> None:
    image = Image.new(mode, (6, 4))
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    report = stylize([path], tiny_model, tmp_path / "out")
    assert decode_picture(report.written[0]).pixels.shape == (4, 6, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_large_picture_in_tiles_is_the_same_picture(tmp_path: Path, suffix: str) -> None:
    """On disk and by rows where pyvips is installed, in memory elsewhere."""
    pixels = make_picture(np.random.default_rng(0), 170)[:150]
    encode_picture(tmp_path / "a.png", pixels)
    options = {"format": suffix, "strength": 0.8, "preserve_color": True}
    [whole] = stylize([tmp_path / "a.png"], Path("strokes"), tmp_path / "whole", **options).written
    [tiled] = stylize([tmp_path / "a.png"], Path("strokes"), tmp_path / "tiled", tile=64, **options).written
    difference = decode_picture(whole).pixels.astype(int) - decode_picture(tiled).pixels
    assert np.abs(difference).max() <= (1 if suffix == "png" else 12)
    assert [path.name for path in tmp_path.glob("tiled/*")] == [tiled.name]


def test_short_memory_means_tiles_and_the_same_picture(tmp_path: Path) -> None:
    pixels = make_picture(np.random.default_rng(0), 170)
    encode_picture(tmp_path / "a.png", pixels)
    [whole] = stylize([tmp_path / "a.png"], Path("strokes"), tmp_path / "whole").written
    [tiled] = stylize([tmp_path / "a.png"], Path("strokes"), tmp_path / "tiled", memory=0.01).written
    difference = decode_picture(whole).pixels.astype(int) - decode_picture(tiled).pixels
    assert np.abs(difference).max() <= 1


# --- what stops before any work ------------------------------------------------------------------


def test_output_folder_that_cannot_be_written_is_found_before_the_model_is_loaded(
    inside: Path,
) -> None:
    picture(inside / "a.png")
    (inside / "file").touch()
    (inside / "model.onnx").write_bytes(b"would not load")
    options = StylizeOptions(model="model.onnx", output=Path("file/below"))
    with pytest.raises(UserError, match="--output: cannot write into file/below: Not a directory"):
        stylize_files(["a.png"], options)


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"size": -1}, "--size"),
        ({"size": 0}, "--size"),
        ({"strength": 1.1}, "--strength"),
        ({"strength": float("nan")}, "--strength"),
        ({"quality": 0}, "--quality"),
        ({"memory": 0.0}, "--memory"),
        ({"quality": 101}, "--quality"),
        ({"format": "psd"}, "--format"),
        ({"threads": 0}, "--threads"),
        ({"max_pixels": 0}, "--max-pixels"),
    ],
)
def test_wrong_option_names_its_flag(options: dict[str, object], flag: str) -> None:
    with pytest.raises(UserError, match=flag):
        StylizeOptions(model="any", **options)


# --- results of earlier runs ---------------------------------------------------------------------


def test_output_inside_the_input_is_not_stylized_again(inside: Path, tiny_model: Path) -> None:
    picture(inside / "a.png")
    picture(inside / "sub" / "b.png")
    for _ in range(2):
        report = stylize(["."], tiny_model, Path("stylized"))
        assert names(report, Path("stylized")) == ["a.png", "sub/b.png"]
    report = stylize(["**/*.png"], tiny_model, Path("stylized"))
    assert names(report, Path("stylized")) == ["a.png", "sub/b.png"]
    # What the shell makes of an unquoted *: the output folder is among the inputs.
    report = stylize(["a.png", "sub", "stylized"], tiny_model, Path("stylized"))
    assert names(report, Path("stylized")) == ["a.png", "b.png"]


def test_stopped_job_can_go_on_with_what_is_missing(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name)
    kept = picture(tmp_path / "out" / "a.png")
    before = kept.read_bytes()
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out", overwrite=False)
    assert (report.kept, names(report, tmp_path / "out")) == ([kept], ["b.png"])
    assert kept.read_bytes() == before


# --- trouble on the way --------------------------------------------------------------------------


def test_picture_too_large_for_the_memory_is_skipped_with_the_way_out(
    tmp_path: Path, hungry_model: Path
) -> None:
    large, small = picture(tmp_path / "a.png", 4000, 2), picture(tmp_path / "b.png", 4, 4)
    report = stylize([large, small], hungry_model, tmp_path / "out")
    assert names(report, tmp_path / "out") == ["b.png"]
    [(path, reason)] = report.skipped
    assert path == large
    assert "--size" in reason


def test_picture_the_format_cannot_hold_is_skipped(tmp_path: Path, tiny_model: Path) -> None:
    wide, small = picture(tmp_path / "a.png", 1, 17_000), picture(tmp_path / "b.png")
    report = stylize([wide, small], tiny_model, tmp_path / "out", format="webp")
    assert names(report, tmp_path / "out") == ["b.webp"]
    assert "WEBP" in report.skipped[0][1]


def test_bomb_is_skipped_naming_the_flag(tmp_path: Path, tiny_model: Path) -> None:
    inputs = [picture(tmp_path / "a.png", 20, 20), picture(tmp_path / "b.png", 5, 5)]
    report = stylize(inputs, tiny_model, tmp_path / "out", max_pixels=100)
    assert names(report, tmp_path / "out") == ["b.png"]
    assert "--max-pixels" in report.skipped[0][1]


FULL_DISK = """
import resource, sys
from fast_nst.errors import UserError
from fast_nst.runtime.batch.options import StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    stylize_files([sys.argv[1]], StylizeOptions(model=sys.argv[2], output=sys.argv[3]))
except UserError as error:
    sys.exit(str(error))
"""


def test_full_disk_stops_with_one_line_and_keeps_what_was_written(tmp_path: Path, tiny_model: Path) -> None:
    for name, side in (("a.png", 9), ("b.png", 200), ("c.png", 9)):
        picture(tmp_path / "in" / name, side, side)
    out = tmp_path / "out"
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "in"), str(tiny_model), str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    problem = f"cannot write {out / 'b.png'}: File too large"
    assert run.stderr == f"{problem}; stopped, 1 file written before\n"
    assert run.returncode == 1
    assert [path.name for path in out.iterdir()] == ["a.png"]
    assert decode_picture(out / "a.png").pixels.shape == (9, 9, 3)


def test_no_bar_and_no_noise_where_stderr_is_no_terminal(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stylize([picture(tmp_path / "a.png")], tiny_model, tmp_path / "out")
    assert capfd.readouterr() == ("", "")


# --- nothing in silence --------------------------------------------------------------------------


def test_kinds_that_are_not_read_are_counted(tmp_path: Path, tiny_model: Path, inside: Path) -> None:
    picture(inside / "in" / "a.png")
    for name in ("b.dng", "c.DNG", "d.tga", "e", "sub/f.jpg_large", ".hidden/g.xyz", ".h"):
        (inside / "in" / name).parent.mkdir(exist_ok=True)
        (inside / "in" / name).touch()
    report = stylize(["in"], tiny_model, Path("out"))
    assert report.unread == {".dng": 2, ".tga": 1, "": 1, ".jpg_large": 1}
    assert stylize(["in/**/*"], tiny_model, Path("out")).unread == report.unread
    (inside / "raw").mkdir()
    (inside / "raw" / "a.dng").touch()
    with pytest.raises(
        UserError, match=r"input raw holds no picture and no video that is read, only 1 \.dng"
    ):
        stylize(["raw"], tiny_model, Path("out"))


def test_linked_folders_are_done_once_and_loops_end(inside: Path, tiny_model: Path) -> None:
    for name in ("disk/2024/a.png", "in/own/b.png"):
        picture(inside / name)
    (inside / "in" / "2024").symlink_to(inside / "disk" / "2024")
    (inside / "in" / "loop").symlink_to(inside / "in")
    report = stylize(["in"], tiny_model, Path("out"))
    assert names(report, Path("out")) == ["2024/a.png", "own/b.png"]
    (inside / "only").mkdir()
    (inside / "only" / "2024").symlink_to(inside / "disk" / "2024")
    assert names(stylize(["only"], tiny_model, Path("out2")), Path("out2")) == ["2024/a.png"]
    assert names(stylize(["in/**/*.png"], tiny_model, Path("out3")), Path("out3")) == [
        "2024/a.png",
        "own/b.png",
    ]


def test_pages_behind_the_first_are_said(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    report = stylize([tmp_path / "scan.tif"], tiny_model, tmp_path / "out")
    assert np.array_equal(decode_picture(Path(report.written[0])).pixels, 255 - noise())
    assert "scan.tif: only the first of its 3 pages is taken" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_cannot_be_looked_into_is_skipped_and_named(inside: Path, tiny_model: Path) -> None:
    for name in ("in/a.png", "in/lost+found/b.png"):
        picture(inside / name)
    (inside / "in" / "lost+found").chmod(0)
    try:
        report = stylize(["in"], tiny_model, Path("out"))
        with pytest.raises(UserError, match=r"input in/lost\+found: cannot read the folder"):
            stylize(["in/lost+found"], tiny_model, Path("out"))
    finally:
        (inside / "in" / "lost+found").chmod(0o755)
    assert report.written == [Path("out/a.png")]
    assert report.skipped == [(Path("in/lost+found"), "cannot read the folder: Permission denied")]


# --- one file's trouble --------------------------------------------------------------------------


def test_names_at_the_limit_keep_their_names(tmp_path: Path, tiny_model: Path) -> None:
    long = ("n" * 251 + ".png", "\u65e5" * 83 + ".jpg")
    for name in (*long, "z.png"):
        picture(tmp_path / "in" / name)
    clip = "v" * 251 + ".mp4"
    make_clip(tmp_path / "in" / clip, 3)
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out")
    assert sorted(names(report, tmp_path / "out")) == sorted((*long, clip, "z.png"))


def test_a_result_whose_name_cannot_be_is_skipped_and_the_job_goes_on(
    tmp_path: Path, tiny_model: Path
) -> None:
    """The job ended there: "stopped, 1 file written before"."""
    for name in ("a.jpg", "b" * 251 + ".jpg", "c.png", "z.png"):
        picture(tmp_path / "in" / name)
    (tmp_path / "out" / "c.webp").mkdir(parents=True)  # stands where a result should go
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out", format="webp")
    assert names(report, tmp_path / "out") == ["a.webp", "z.webp"]
    skipped = {path.name[:1]: reason for path, reason in report.skipped}
    assert "File name too long" in skipped["b"]
    assert "directory" in skipped["c"]


# --- transparency and print size -----------------------------------------------------------------


def test_alpha_is_kept_or_laid_over_a_color(tmp_path: Path, tiny_model: Path) -> None:
    pixels = np.zeros((40, 50, 4), np.uint8)
    pixels[10:30, 10:40] = (200, 100, 50, 255)
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.webp", "c.tif"):
        Image.fromarray(pixels).save(tmp_path / "in" / name, **({"lossless": True} if "webp" in name else {}))
    Image.fromarray(pixels).save(tmp_path / "in" / "d.bmp")
    picture(tmp_path / "in" / "e.jpg")
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out", alpha="keep", size=25)
    assert names(report, tmp_path / "out") == ["a.png", "b.webp", "c.tif", "d.png", "e.jpg"]
    for path in report.written[:3]:
        kept = decode_picture(Path(path), alpha="keep")
        assert kept.opacity is not None
        assert kept.opacity.shape == (20, 25)
        assert (kept.opacity[0, 0], kept.opacity[10, 12]) == (0, 255)
        edge = (kept.opacity > 0) & (kept.opacity < 255)
        colors = kept.pixels[edge | (kept.opacity == 255)].astype(int)
        assert np.abs(colors - (55, 155, 205)).max() < 12  # the negative, without a fringe
    [over] = stylize([tmp_path / "in/a.png"], tiny_model, tmp_path / "o", alpha="#204060").written
    assert decode_picture(over, alpha="keep").pixels[0, 0].tolist() == [255 - 32, 255 - 64, 255 - 96]


def test_alpha_that_will_not_do_is_refused_before_any_work(tmp_path: Path, tiny_model: Path) -> None:
    source = picture(tmp_path / "a.png")
    for output, more in ((tmp_path / "a.jpg", {}), (tmp_path / "out", {"format": "bmp"})):
        with pytest.raises(UserError, match=r"--alpha keep: (JPEG|BMP) carries no transparency; choose png"):
            stylize([source], tiny_model, output, alpha="keep", **more)
        assert not output.exists()
    with pytest.raises(UserError, match="--alpha must be keep, white or a color"):
        stylize([source], tiny_model, tmp_path / "out", alpha="blak")


def test_resolution_goes_along(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.png", "c.tif"):
        Image.fromarray(noise()).save(tmp_path / "in" / name, dpi=(300, 150))
    report = stylize([tmp_path / "in"], tiny_model, tmp_path / "out")
    report.written += stylize([tmp_path / "in"], tiny_model, tmp_path / "webp", format="webp").written
    for path in report.written:
        assert decode_picture(Path(path)).resolution == pytest.approx((300, 150), abs=0.1)
