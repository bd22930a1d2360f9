"""The demo's web application: the page, pictures, the live connection, clips."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from anyio import CapacityLimiter, open_file, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as AnyHTTPException

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import UnreadablePicture, picture_bytes
from fast_nst.runtime.demo.clips import MAX_CLIP_BYTES, Clip, Clips, TooMany
from fast_nst.runtime.demo.gallery import SAMPLE, Gallery
from fast_nst.runtime.demo.guard import Guard, is_loopback, names_of
from fast_nst.runtime.demo.live import stream
from fast_nst.runtime.demo.options import DemoOptions
from fast_nst.runtime.demo.painting import Memory, open_picture, paint_picture, shown
from fast_nst.runtime.stylizer import OutOfMemory, RunFailed
from fast_nst.runtime.web import Left, Stalled, body_chunks

STATIC = Path(__file__).parent / "static"
MAX_PICTURE_BYTES = 100 * 2**20
_PATIENCE = 30.0  # seconds without a byte of an upload
_PATIENCE_AT_THE_END = 1.0

router = APIRouter(prefix="/api")


def create_app(gallery: Gallery, clips: Clips, options: DemoOptions) -> FastAPI:
    """The ASGI application; nothing is global, all state is in `app.state`."""
    app = FastAPI(title="fast_nst demo", openapi_url=None)
    app.state.clips = clips
    app.state.gallery = gallery
    app.state.options = options
    app.state.ending = False
    app.state.memory = Memory()
    # One large picture at a time, and the camera beside it: more would only share the same cores.
    app.state.opening = CapacityLimiter(1)
    app.state.pictures = CapacityLimiter(1)
    app.state.frames = CapacityLimiter(1)
    app.add_middleware(Guard, own=names_of(options.host), allowed=options.allowed)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(TooMany, _too_many)
    app.include_router(router)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


@router.get("/info")
def info(request: Request) -> dict[str, Any]:
    """What the page needs to know before anything else."""
    state = request.app.state
    files = list(dict.fromkeys(style.model.path for style in state.gallery.styles.values()))
    return {
        # Styles of one file can be mixed.
        "styles": [
            {"name": style.name, "attribution": style.attribution, "file": files.index(style.model.path)}
            for style in state.gallery.styles.values()
        ],
        "max_picture_bytes": MAX_PICTURE_BYTES,
        "max_clip_bytes": MAX_CLIP_BYTES,
        "max_pixels": state.options.max_pixels,
        "only_here": is_loopback(state.options.host),
    }


def known_style(request: Request, style: str) -> str:
    """The query's style or mixture, if it is on offer."""
    try:
        request.app.state.gallery.shares(style)
    except UserError as error:
        raise HTTPException(404, one_line(error)) from None
    return style


KnownStyle = Annotated[str, Depends(known_style)]
Strength = Annotated[float, Query(ge=0.0, le=1.0)]


@router.get("/preview")
def preview(request: Request, style: str) -> Response:
    """A style's thumbnail."""
    if style not in request.app.state.gallery.styles:
        raise HTTPException(404, f"there is no style {style!r}")
    return Response(request.app.state.gallery.styles[style].preview, media_type="image/jpeg")


@router.get("/sample")
def sample() -> FileResponse:
    """The bundled picture, for those who have none at hand."""
    return FileResponse(SAMPLE, media_type="image/jpeg")


@router.post("/open")
async def open_(request: Request) -> Response:
    """A picture file -> JPEG for the page, upright and reduced to the limit."""
    state = request.app.state
    data = await _body(request, MAX_PICTURE_BYTES)
    opened = await to_thread.run_sync(
        open_picture, data, state.options.max_pixels, state.memory, limiter=state.opening
    )
    height, width = opened.picture.pixels.shape[:2]
    headers = {
        "X-Size": f"{width}x{height}",
        "X-Original-Size": f"{opened.original[0]}x{opened.original[1]}",
    }
    jpeg = await to_thread.run_sync(shown, opened.picture.pixels)
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@router.post("/paint")
async def paint(
    request: Request,
    style: KnownStyle,
    strength: Strength = 1.0,
    keep_color: bool = False,
    format: Annotated[str, Query(pattern="^(png|jpg)$")] | None = None,
) -> Response:
    """A picture file -> the stylized picture: full size as `format`, or as JPEG for the page."""
    state = request.app.state
    data = await _body(request, MAX_PICTURE_BYTES)

    def work() -> bytes:
        pixels = paint_picture(
            data,
            style,
            state.gallery,
            state.memory,
            max_pixels=state.options.max_pixels,
            strength=strength,
            keep_color=keep_color,
        )
        if format is None:
            return shown(pixels)
        exif = open_picture(data, state.options.max_pixels, state.memory).picture.exif
        return picture_bytes(pixels, format, exif=exif)

    async with state.pictures:
        if await request.is_disconnected():  # nobody waits for it any more
            return Response(status_code=204)
        result = await to_thread.run_sync(work)
    return Response(result, media_type="image/png" if format == "png" else "image/jpeg")


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Camera and video frames; see `fast_nst.runtime.demo.live.stream`."""
    await stream(socket, socket.app.state.gallery, socket.app.state.frames)


@router.post("/clips", status_code=202)
async def render(
    request: Request, style: KnownStyle, strength: Strength = 1.0, keep_color: bool = False, name: str = ""
) -> dict[str, Any]:
    """Upload a video file and render it whole; the answer is its status."""
    clips: Clips = request.app.state.clips
    clips.check()  # before the upload, which may be long
    suffix = re.search(r"\.\w{1,5}$", name)
    source = clips.folder / f"{uuid.uuid4().hex}{suffix[0] if suffix else ''}"
    try:
        async with await open_file(source, "wb") as file:
            async for chunk in _chunks(request, MAX_CLIP_BYTES):
                await file.write(chunk)
    except BaseException:
        source.unlink(missing_ok=True)
        raise
    clip = Clip(source, source.with_name(f"{source.stem}-out.mp4"), style, strength, keep_color)
    clips.start(clip)
    return clip.status()


def known_clip(request: Request, id: str) -> Clip:
    """The path's clip, if it is still there."""
    clips: Clips = request.app.state.clips
    if id not in clips.clips:
        raise HTTPException(404, "this clip is gone; render it again")
    return clips.clips[id]


KnownClip = Annotated[Clip, Depends(known_clip)]


@router.get("/clips/{id}")
def clip_status(clip: KnownClip) -> dict[str, Any]:
    """How far a rendering is."""
    return clip.status()


@router.delete("/clips/{id}")
def cancel_clip(request: Request, clip: KnownClip) -> dict[str, Any]:
    """Stop a rendering at its next frame, or before it begins."""
    request.app.state.clips.cancel(clip)
    return clip.status()


@router.get("/clips/{id}/file")
def clip_file(clip: KnownClip, name: str = "clip.mp4") -> FileResponse:
    """The rendered file, to download under `name`."""
    if clip.state != "done":
        raise HTTPException(409, f"this clip is {clip.state}")
    return FileResponse(clip.target, media_type="video/mp4", filename=name)


async def _body(request: Request, limit: int) -> bytes:
    return b"".join([chunk async for chunk in _chunks(request, limit)])


async def _chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The request's body; HTTPException 413 as soon as it is known to be longer than `limit` bytes, 408
    when nothing more comes."""
    said = request.headers.get("content-length", "")
    count = int(said) if said.isdecimal() else 0
    received = 0
    state = request.app.state
    try:
        async for chunk in body_chunks(
            request.receive, lambda: _PATIENCE_AT_THE_END if state.ending else _PATIENCE
        ):
            received += len(chunk)
            if max(count, received) > limit:
                raise HTTPException(413, f"the file is larger than {limit / 2**20:.0f} MB")
            yield chunk
    except Stalled:
        raise HTTPException(408, "the upload stalled; try again") from None
    except Left:
        raise HTTPException(400, "the upload was broken off") from None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = (f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    return JSONResponse({"error": "; ".join(problems)}, 422)


async def _too_many(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": one_line(error)}, 429)


async def _user_error(request: Request, error: Exception) -> Response:
    if isinstance(error, UnreadablePicture):
        # The advice behind the semicolon is for the command line.
        return JSONResponse({"error": f"The picture cannot be read: {error.reason.partition(';')[0]}."}, 422)
    if isinstance(error, OutOfMemory):
        return JSONResponse({"error": f"{one_line(error)}; start the demo with a lower --max-pixels"}, 413)
    return JSONResponse({"error": one_line(error)}, 500 if isinstance(error, RunFailed) else 422)
