"""A request's body to the bytes of a picture and form fields, within limits on bytes and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from fast_nst.errors import one_line
from fast_nst.runtime.serve.errors import Refused
from fast_nst.runtime.web import Left, Stalled, body_chunks

_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 1024


@dataclass(frozen=True)
class Upload:
    """What a client sent."""

    picture: bytes
    """The encoded picture, of whatever kind."""
    fields: dict[str, str] = field(default_factory=dict)
    """The other fields of a multipart form."""


def check_announced(request: Request, max_bytes: int) -> None:
    """Raises Refused (413) for a Content-Length above the limit."""
    announced = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers:
        return  # chunked, and a Content-Length beside it says nothing
    if int(announced) > max_bytes:
        raise Refused(413, f"the body has {int(announced)} bytes; the limit is {max_bytes}")


@dataclass(frozen=True)
class Reading:
    """How a body may arrive."""

    max_bytes: int
    seconds: float
    """For the whole of it."""
    patience: Callable[[], float]
    """Seconds without a byte, asked again while waiting."""
    take: Callable[[int], None]
    """Told of bytes as they arrive; what it raises ends the reading."""


async def read_upload(request: Request, how: Reading) -> Upload:
    """Read a multipart form with a file `image`, or a body that is the picture itself.

    Raises Refused: 400 for a broken form, 408 when it takes longer than `seconds`, 413 beyond
    `max_bytes`, 422 without an `image`, 499 when the client leaves, 503 when `patience` is over.
    """
    try:
        async with asyncio.timeout(how.seconds):
            if request.headers.get("content-type", "").lower().startswith("multipart/"):
                return await _read_form(request, how)
            body = b"".join([chunk async for chunk in _limited(request, how)])
            return Upload(body)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {how.seconds:g} s") from None
    except Stalled:
        raise Refused(503, "this process is about to end", retry_after=1) from None
    except Left:
        raise Refused(499, "the client left while sending") from None


async def _limited(request: Request, how: Reading) -> AsyncGenerator[bytes, None]:
    count = 0
    async for chunk in body_chunks(request.receive, how.patience):
        count += len(chunk)
        if count > how.max_bytes:
            raise Refused(413, f"the body has more than {how.max_bytes} bytes")
        how.take(len(chunk))
        yield chunk


class _FormParser(MultiPartParser):
    """Starlette's parser, which would take a form without its end for whole and write files to disk."""

    ended = False

    def on_end(self) -> None:
        self.ended = True


async def _read_form(request: Request, how: Reading) -> Upload:
    stream = _limited(request, how)
    limits = {"max_files": 1, "max_fields": _MAX_FIELDS, "max_part_size": _MAX_FIELD_BYTES}
    parser = _FormParser(request.headers, stream, **limits)
    parser.spool_max_size = how.max_bytes + 1  # in memory, which `max_bytes` bounds
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:  # older Starlettes pass the second on
        reason = error.message if isinstance(error, MultiPartException) else one_line(error)
        raise Refused(400, f"the multipart form cannot be read: {reason}") from None
    try:
        if not parser.ended:
            raise Refused(400, "the multipart form is cut off: its closing boundary is missing")
        fields: dict[str, str] = {}
        picture = None
        for name, value in form.multi_items():
            if name == "image" and isinstance(value, UploadFile):
                picture = await value.read()
            elif name == "image" or isinstance(value, UploadFile):
                raise Refused(422, f"{name}: the form's one file, with a file name, must be called image")
            elif name in fields:
                raise Refused(422, f"{name}: given twice")
            else:
                fields[name] = value
        if picture is None:
            raise Refused(422, "image: the form has no such file")
        return Upload(picture, fields)
    finally:
        await form.close()
