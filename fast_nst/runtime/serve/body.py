"""A request's body, within limits on bytes and time: the bytes of a picture, and form fields."""

from __future__ import annotations

import asyncio

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from fast_nst.errors import one_line
from fast_nst.runtime.serve.errors import Refused

_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 1024

MultiPartParser.spool_max_size = 2**40  # forms stay in memory, which we bound: a container may be read-only


async def read_body(request: Request, max_bytes: int, seconds: float) -> tuple[bytes, dict[str, str]]:
    """A picture's bytes and the other fields of a multipart form; a body that is no form is the picture.

    Raises Refused: 400 for a broken form, 408 when it takes longer than `seconds`, 413 beyond `max_bytes`,
    422 for a form without a file `image`, 499 when the client leaves.
    """
    request = _limited(request, max_bytes)
    try:
        async with asyncio.timeout(seconds):
            if request.headers.get("content-type", "").lower().startswith("multipart/"):
                return await _read_form(request)
            return await request.body(), {}
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {seconds:g} s") from None
    except ClientDisconnect:
        raise Refused(499, "the client left while sending") from None


def _limited(request: Request, max_bytes: int) -> Request:
    """The request, whose body ends in Refused (413) beyond so many bytes, at once where it says so before."""
    announced = request.headers.get("content-length", "0")
    # With chunks, a length beside them says nothing.
    if "transfer-encoding" not in request.headers and int(announced) > max_bytes:
        raise Refused(413, f"the body has {int(announced)} bytes; the limit is {max_bytes}")
    count = 0

    async def receive() -> Message:
        nonlocal count
        message = await request.receive()
        count += len(message.get("body", b""))
        if count > max_bytes:
            raise Refused(413, f"the body has more than {max_bytes} bytes")
        return message

    return Request(request.scope, receive)


async def _read_form(request: Request) -> tuple[bytes, dict[str, str]]:
    fields: dict[str, str] = {}
    picture = None
    limits = {"max_files": 1, "max_fields": _MAX_FIELDS, "max_part_size": _MAX_FIELD_BYTES}
    try:
        async with request.form(**limits) as form:
            for name, value in form.multi_items():
                if name == "image" and isinstance(value, UploadFile):
                    picture = await value.read()
                elif name == "image" or isinstance(value, UploadFile):
                    raise Refused(422, f"{name}: the form's one file, with a file name, must be called image")
                elif name in fields:
                    raise Refused(422, f"{name}: given twice")
                else:
                    fields[name] = value
    except FormParserError as error:
        raise Refused(400, f"the multipart form cannot be read: {one_line(error)}") from None
    except HTTPException as error:  # so newer Starlettes say it
        raise Refused(400, f"the multipart form cannot be read: {error.detail}") from None
    if picture is None:
        raise Refused(422, "image: the form has no such file, or is cut off")
    return picture, fields
