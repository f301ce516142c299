"""What pydantic found wrong becomes one line: the key, what is wrong, the remedy."""

from __future__ import annotations

from typing import Literal, Optional, Union

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ppcls_slim.common.validation import first_mistake


class Wheel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: Union[Literal["auto"], int] = "auto"
    internal: Optional[int] = None


class Car(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    spare: Optional[Wheel] = None
    wheels: list[Wheel] = Field(default_factory=list)
    weights: dict[str, float] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 5:
            raise ValueError(f"'{value}' is too long")
        return value


def mistake(root: str = "Car", **keys: object) -> str:
    with pytest.raises(ValidationError) as error:
        Car.model_validate({"name": "Mini", **keys})
    return first_mistake(error.value, Car, root)


def test_an_unknown_key_is_named_with_the_keys_of_its_section():
    assert mistake(nme="x") == "unknown key Car.nme (did you mean 'name'?); known are name, spare, wheels, weights"
    known = "known are size, internal"
    assert mistake(spare={"sise": 3}) == f"unknown key Car.spare.sise (did you mean 'size'?); {known}"
    assert mistake("", wheels=[{}, {"sise": 3}]) == f"unknown key wheels.1.sise (did you mean 'size'?); {known}"


def test_a_validators_words_stand_behind_the_key():
    assert mistake(name="limousine") == "Car.name: 'limousine' is too long"


def test_the_member_of_a_union_that_was_tried_is_not_part_of_the_key():
    assert mistake(spare={"size": "big"}) == "Car.spare.size is 'big': input should be 'auto'"


def test_keys_that_begin_like_a_type_are_named():
    assert mistake(spare={"internal": "a"}).startswith("Car.spare.internal is 'a': input should be a valid integer")


def test_keys_of_a_mapping_are_named():
    assert mistake(weights={"door": "heavy"}).startswith(
        "Car.weights.door is 'heavy': input should be a valid number"
    )


def test_a_key_that_is_missing():
    with pytest.raises(ValidationError) as error:
        Car.model_validate({})
    assert first_mistake(error.value, Car) == "name: field required"
