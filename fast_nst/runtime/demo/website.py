"""`fast-nst demo --static`: the page as a folder for any static host, the network run by the browser."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fast_nst.errors import UserError, one_line
from fast_nst.files import write_whole
from fast_nst.lists import comma_separated
from fast_nst.runtime.demo.gallery import Gallery, open_gallery
from fast_nst.runtime.demo.options import DemoOptions
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import SAMPLE, list_models

ONNXRUNTIME_WEB = "1.30.0"
MOST_PIXELS = 3_000_000  # takes 0.9 GB; browsers on phones end a page that takes much more

logger = logging.getLogger("fast_nst")

_PAGE = Path(__file__).parent / "static"
_BROWSER = Path(__file__).parent / "web"  # its api.js takes the place of the page's
_KINDS = (".html", ".css", ".js", ".svg")
_ENGINE = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
)


def write_website(folder: Path, options: DemoOptions) -> Path:
    """Write all that the page needs into `folder`, over what is there, and return it.

    Raises UserError for a model that does not work, a missing onnxruntime-web, and a folder that cannot be
    written.
    """
    models = options.models or [_shipped_gallery()]
    providers = comma_separated(options.providers) if options.providers is not None else None
    with _engine(options.runtime) as engine:
        gallery = open_gallery(
            models, lambda path: Stylizer(path, threads=options.threads, providers=providers)
        )
        page = [path for place in (_PAGE, _BROWSER) for path in sorted(place.iterdir())]
        files = {path.name: path.read_bytes() for path in page if path.suffix in _KINDS}
        files["sample.jpg"] = SAMPLE.read_bytes()
        files |= _styles(gallery, min(MOST_PIXELS, options.max_pixels))
        for name in _ENGINE:  # .mjs as .js: not every host knows it for the script that it is
            files[f"onnxruntime/{name.replace('.mjs', '.js')}"] = (engine / name).read_bytes()
    files["sw.js"] = files.pop("sw.js")  # last: with it browsers take the others for new
    files["sw.js"] = _about_the_rest(files["sw.js"].decode(), files).encode()
    for name, data in files.items():
        write_whole(folder / name, data, make_folder=True)
    return folder


def _shipped_gallery() -> str:
    if "gallery" not in list_models():
        raise UserError("no file of many styles ships with this install; --static needs --model FILE")
    return "gallery"


def _styles(gallery: Gallery, max_pixels: int) -> dict[str, bytes]:
    """styles.json, and the networks and previews that it names."""
    paths = list(dict.fromkeys(style.model.path for style in gallery.styles.values()))
    networks = {f"networks/{index}.onnx": path.read_bytes() for index, path in enumerate(paths)}
    previews = {f"previews/{index}.jpg": style.preview for index, style in enumerate(gallery.styles.values())}
    styles = [
        {
            "name": style.name,
            "attribution": style.attribution,
            "file": paths.index(style.model.path),
            "weights": gallery.mix(style.name)[1].ravel().tolist(),
            "preview": preview,
        }
        for style, preview in zip(gallery.styles.values(), previews, strict=True)
    ]
    about = {"max_pixels": max_pixels, "files": list(networks), "styles": styles}
    return {"styles.json": json.dumps(about).encode(), **networks, **previews}


def _about_the_rest(worker: str, files: dict[str, bytes]) -> str:
    """The service worker's text, with a hash of all files and the names of those it keeps from the start."""
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(name.encode() + hashlib.sha256(data).digest())
    large = ("networks/", "onnxruntime/")
    small = [name for name in files if not name.startswith(large) and name not in ("index.html", "sw.js")]
    filled = worker.replace('"@VERSION@"', json.dumps(digest.hexdigest()[:16]))
    filled = filled.replace('["@LARGE@"]', json.dumps(large))
    return filled.replace('["@SMALL@"]', json.dumps(["./", *small]))


@contextmanager
def _engine(folder: Path | None) -> Iterator[Path]:
    """The folder with onnxruntime-web's built files: in the one given, or fetched for the time being."""
    with TemporaryDirectory(prefix="fast-nst-static-") as temporary:
        found = folder or fetch_engine(Path(temporary))
        found = found / "dist" if (found / "dist").is_dir() else found
        missing = [name for name in _ENGINE if not (found / name).is_file()]
        if missing:
            raise UserError(f"{found} is no onnxruntime-web {ONNXRUNTIME_WEB}: it has no {missing[0]}")
        yield found


def fetch_engine(folder: Path) -> Path:
    """Unpack onnxruntime-web below `folder`; returns where. Raises UserError where npm cannot."""
    package = f"onnxruntime-web@{ONNXRUNTIME_WEB}"
    advice = f"name an unpacked {package} with --runtime FOLDER"
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"--static fetches {package} with npm, which is not installed; install it, or {advice}"
        )
    logger.info("fetching %s with npm", package)
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode or packed is None:
        raise UserError(f"npm cannot fetch {package} ({one_line(done.stderr)}); {advice}")
    with tarfile.open(packed) as archive:
        wanted = [member for member in archive if Path(member.name).name in _ENGINE]
        archive.extractall(folder, wanted, filter="data")
    return folder / "package"
