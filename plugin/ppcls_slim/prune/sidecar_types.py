"""What the parts of a sidecar file that prune may hold: types and bounds, with which they are read back.

Bounds are far above what any network has; they keep a damaged number from filling the memory.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..compat.paddle import paddle

MOST_ELEMENTS = 2**28
"""Of an input."""


class Part(BaseModel):
    """A part of a sidecar file; keys that this version does not know are passed over."""

    model_config = ConfigDict(strict=True)


def _dtype_is_known(settings: dict[str, Any]) -> dict[str, Any]:
    dtype = settings.get("input_dtype", "float32")
    if not isinstance(dtype, str) or not isinstance(getattr(paddle, dtype, None), type(paddle.float32)):
        raise ValueError(f"input_dtype {dtype!r} is not a type of Paddle's")
    return settings


def _fits_memory(shape: list[int]) -> list[int]:
    if math.prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"{shape} has more than {MOST_ELEMENTS} elements")
    return shape


Size = Annotated[int, Field(ge=1, le=2**31)]
Count = Annotated[int, Field(ge=0, le=2**62)]
InputShape = Annotated[list[Size], Field(min_length=3, max_length=3), AfterValidator(_fits_memory)]
Settings = Annotated[dict[str, Any], AfterValidator(_dtype_is_known)]
"""Of the ``Slim.prune`` section; whether they are valid is seen where they are used."""
