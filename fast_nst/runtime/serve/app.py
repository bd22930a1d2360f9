"""The routes. No `from __future__ import annotations` here: FastAPI reads annotations made at run time."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.responses import Response

from fast_nst import __version__
from fast_nst.contract import STYLES
from fast_nst.runtime.serve.body import read_body
from fast_nst.runtime.serve.errors import Refused, documented, install_error_answers
from fast_nst.runtime.serve.parameters import Parameters, parameters_for, with_fields
from fast_nst.runtime.serve.service import EncodedResult, Service
from fast_nst.runtime.serve.work import formats, media_type

_DESCRIPTION = """Stylizes pictures with trained networks. Every error is
`{"error": {"code", "message", "request_id"}}`; every answer has an `X-Request-ID`, the
one sent if there was one."""
_NOT_SHOWN = ("config", STYLES)


class Style(BaseModel):
    """One of a model's styles."""

    name: str = Field(description="For the parameter `style`.")
    license: str | None = Field(description="As the file says.")
    attribution: str | None = Field(description="As the file says.")


class Model(BaseModel):
    """A model that is served."""

    name: str = Field(description="For the parameter `model`.")
    styles: list[Style] = Field(description="What the file holds, one style or many.")
    default: bool = Field(description="Taken by requests that name none.")
    license: str | None = Field(description="As the file says.")
    attribution: str | None = Field(description="As the file says.")
    metadata: dict[str, str] = Field(
        description="The file's metadata, less the training's configuration and what is in `styles`."
    )


class Models(BaseModel):
    """Every model that is served."""

    models: list[Model]


class Health(BaseModel):
    """The state of the process."""

    status: Literal["ok", "ready"]


def build_app(service: Service) -> FastAPI:
    """The routes over a service."""
    app = FastAPI(
        title="fast_nst",
        version=__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    install_error_answers(app)
    _add_stylize(app, service)
    _add_information(app, service)
    for route in [
        route for route in app.routes if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    ]:
        app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)
    return app


def _add_stylize(app: FastAPI, service: Service) -> None:
    options = service.options
    Wanted = parameters_for(list(service.models), options.max_size)

    @app.post(
        "/v1/stylize",
        summary="Stylize a picture",
        response_class=Response,
        responses=_picture_answer() | documented(400, 408, 413, 422, 429, 500, 504),
        openapi_extra={"requestBody": _request_body(Wanted)},
    )
    async def stylize(
        request: Request,
        query: Annotated[Wanted, Query()],  # type: ignore[valid-type]
    ) -> Response:
        """Send the picture as the body, whatever its Content-Type, or as the file `image` of a multipart
        form. Parameters go into the query or, with a form, into its fields, which win. The answer has
        the size of the picture sent, or the `size` asked for; EXIF orientation and color profile are
        applied."""
        for name in request.query_params:
            if len(request.query_params.getlist(name)) > 1:
                raise Refused(422, f"{name}: given twice")
        with service.place():
            picture, fields = await read_body(request, options.max_bytes, options.upload_timeout)
            wanted = with_fields(query, fields)
            request.state.log["model"] = wanted.model
            painted = await _unless_gone(request, service.stylize(picture, wanted))
        request.state.log["pixels"] = painted.pixels
        return Response(painted.data, media_type=painted.media_type)


def _add_information(app: FastAPI, service: Service) -> None:
    default = next(iter(service.models))

    @app.get("/v1/models", summary="List the models and their styles", response_model=Models)
    async def models() -> Models:
        return Models(
            models=[
                Model(
                    name=name,
                    styles=[Style(**vars(style)) for style in model.styles],
                    default=name == default,
                    license=model.metadata.get("license"),
                    attribution=model.metadata.get("attribution"),
                    metadata={key: text for key, text in model.metadata.items() if key not in _NOT_SHOWN},
                )
                for name, model in service.models.items()
            ]
        )

    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> Health:
        return Health(status="ok")

    @app.get("/readyz", summary="Whether to send requests here: the models are loaded")
    async def readyz() -> Health:
        return Health(status="ready")

    @app.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, EncodedResult]) -> EncodedResult:
    """The result of `work`, which is cancelled when the client leaves."""
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refused(499, "the client left while waiting")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _operation_id(route: APIRoute) -> str:
    return route.name


def _picture_answer() -> dict[int | str, dict[str, Any]]:
    types = sorted({media_type(name) for name in formats()})
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in types}
    return {200: {"description": "The stylized picture.", "content": content}}


def _request_body(parameters: type[Parameters]) -> dict[str, Any]:
    """Documents the body, which is read as a stream and not by FastAPI."""
    binary = {"type": "string", "format": "binary"}
    form = {"image": binary | {"description": "The picture's file."}}
    for name, schema in parameters.model_json_schema()["properties"].items():
        form[name] = {key: value for key, value in schema.items() if value is not None}  # no default: null
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": form,
                    "additionalProperties": False,
                }
            },
            "application/octet-stream": {"schema": binary},
        },
    }
