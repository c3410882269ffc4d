"""How choices are drawn where a model speaks, as a user asks for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SamplingOptions(BaseModel):
    """How choices are drawn; None leaves a number to the base model's family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] | None = None
    """0 always takes the likeliest"""
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    repetition_penalty: Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)] | None = None
