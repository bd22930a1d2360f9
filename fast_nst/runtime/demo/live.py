"""The live connection: one frame in, the same frame stylized out, then the next."""

from __future__ import annotations

import json
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import UnreadablePicture, decode_picture, picture_bytes
from fast_nst.runtime.demo.gallery import Gallery
from fast_nst.runtime.styles import Style

MAX_FRAME_BYTES = 8 * 2**20
_MAX_FRAME_PIXELS = 1920 * 1920


@dataclass(frozen=True)
class LiveSettings:
    """What the frames that follow are painted with."""

    style: Style
    keep_color: bool = False


async def stream(socket: WebSocket, gallery: Gallery, limiter: CapacityLimiter) -> None:
    """Serve one connection until its other side leaves.

    Text messages are `{"style": STYLE, "keep_color": BOOL}`, with a name, "waves:0.6,udnie:0.4" or
    {"waves": 0.6, "udnie": 0.4} as the style, and hold for the frames after them. Each
    binary message is a picture file and is answered by one message: a JPEG of the same size, or
    `{"error": TEXT}`. The page sends a frame only when the last one is answered, so a camera
    faster than this machine loses frames and never waits in a line; `limiter` bounds how many
    connections use the machine at once.
    """
    await socket.accept()
    settings = LiveSettings(next(iter(gallery.styles)))
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                if message.get("text") is not None:
                    settings = _read_settings(message["text"], gallery)
                    continue
                frame = message.get("bytes") or b""
                result = await to_thread.run_sync(_paint, frame, settings, gallery, limiter=limiter)
            except UserError as error:
                await socket.send_json({"error": one_line(error)})
            else:
                await socket.send_bytes(result)
    except WebSocketDisconnect:
        return


def _read_settings(text: str, gallery: Gallery) -> LiveSettings:
    try:
        given = json.loads(text)
        settings = LiveSettings(given["style"], bool(given.get("keep_color", False)))
        if not isinstance(settings.style, str | dict):
            raise TypeError
        gallery.shares(settings.style)
    except UserError as error:
        raise UserError(f"settings: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UserError(
            'settings are {"style": STYLE, "keep_color": BOOL} with a name or a mixture'
        ) from None
    return settings


def _paint(frame: bytes, settings: LiveSettings, gallery: Gallery) -> bytes:
    try:
        pixels = decode_picture(frame, max_pixels=_MAX_FRAME_PIXELS).pixels
    except UnreadablePicture as error:
        raise UserError(f"a frame cannot be read: {error.reason}") from error
    stylizer, shares = gallery.mix(settings.style)
    stylized = stylizer(pixels, style=shares, preserve_color=settings.keep_color)
    return picture_bytes(stylized, "jpg", quality=88)
