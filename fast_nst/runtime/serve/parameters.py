"""The parameters of POST /v1/stylize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from fast_nst.errors import UserError, one_line
from fast_nst.runtime.serve.errors import Refused, validation_message
from fast_nst.runtime.serve.work import formats
from fast_nst.runtime.styles import style_rows
from fast_nst.runtime.stylizer import Stylizer


def _true_or_false(text: object) -> object:
    if text not in ("true", "false", True, False):  # pydantic takes 0, y, off and more
        raise PydanticCustomError("true_or_false", "should be true or false")
    return text


class Parameters(BaseModel):
    """What a client wants done to its picture."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="Name of a style; see /v1/models.")
    style: Annotated[str | None, WithJsonSchema({"type": "string"})] = Field(
        None,
        description="Of a model of many styles: a name, or a mixture such as waves:0.6,udnie:0.4; see "
        "/v1/models. Default: the one the model was started with.",
    )
    strength: float = Field(
        1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="From 0 (the picture itself) to 1 (the style in full).",
    )
    size: int | None = Field(
        None,
        description="Longer side in pixels the picture is resized to first, and the result has. "
        "Smaller: bolder strokes, faster. Default: the picture's own size.",
    )
    preserve_color: Annotated[bool, BeforeValidator(_true_or_false)] = Field(
        False, description="Keep the picture's own colors; take only light and dark from the style."
    )
    format: str | None = Field(
        None,
        description="Format of the result. Default: as the picture sent, png if that cannot be written.",
    )
    quality: int = Field(95, ge=1, le=100, description="For jpg, webp and avif.")


def parameters_for(models: Sequence[str], max_size: int) -> type[Parameters]:
    """`Parameters` with what a server has: models, the first by default, sizes up to `max_size`, formats."""
    # Left out is not null: a form or a query cannot say that.
    size = {"type": "integer", "minimum": 1, "maximum": max_size}
    format = {"type": "string", "enum": formats()}
    narrow: dict[str, tuple[Any, Any]] = {
        "model": (Literal[*models], models[0]),
        "size": (Annotated[int | None, Field(ge=1, le=max_size), WithJsonSchema(size)], None),
        "format": (Annotated[Literal[*formats()] | None, WithJsonSchema(format)], None),
    }
    fields: dict[str, Any] = {
        name: (kind, Field(default, description=Parameters.model_fields[name].description))
        for name, (kind, default) in narrow.items()
    }
    return create_model("Parameters", __base__=Parameters, **fields)


def with_fields(query: Parameters, fields: dict[str, str]) -> Parameters:
    """The query's parameters and a form's fields together, which win; Refused (422) where one is wrong."""
    if not fields:
        return query
    try:
        return type(query).model_validate(query.model_dump(exclude_unset=True) | fields)
    except ValidationError as error:
        raise Refused(422, validation_message(error.errors())) from None


def shares_for(wanted: Parameters, stylizer: Stylizer) -> np.ndarray:
    """What each of the model's styles counts for, [1, K]; Refused (422) for a wrong style or none of many."""
    names = stylizer.style_names
    if wanted.style is None:
        if stylizer.style is None:
            raise Refused(422, f"style: {wanted.model} has many; give one or a mixture of {', '.join(names)}")
        return stylizer.style_rows(None)
    try:
        return style_rows(wanted.style, names, wanted.model)
    except UserError as error:
        raise Refused(422, f"style: {one_line(error)}") from None
