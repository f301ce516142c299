"""The file of published accuracies, ``benchmarks/regress.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, Optional

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ppcls_slim.common.errors import SlimError, did_you_mean
from ppcls_slim.common.validation import first_mistake


class AccuracyRow(BaseModel):
    """One accuracy to hold.

    Paths may begin with a place, ``{cifar10_repro}/r20.safetensors``; others are relative to the file of rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    config: str = Field(description="PaddleClas configuration; its Eval section names the data.")
    override: list[str] = Field(default_factory=list, description="KEY=VALUE, as with -o.")
    checkpoint: Optional[str] = Field(None, description=".pdparams, or .safetensors of a CIFAR ResNet.")
    exported: Optional[str] = Field(None, description="Folder of an exported model, instead of a checkpoint.")
    run: Literal["eval", "inference"] = Field(
        "eval", description="eval: the model. inference: export the checkpoint and run it with Paddle Inference."
    )
    bits: Optional[int] = Field(None, description="Of .safetensors trained with PACT, as import-weights --bits.")
    int8: bool = Field(False, description="Import such weights for int8, as import-weights --int8.")
    data: str = Field(description="The place that has to be there for this row.")
    published: float = Field(gt=0, le=100, description="Top-1 in percent.")
    tolerance: float = Field(ge=0, description="Percentage points below it that still pass.")
    source: str = Field(description="Who published it, and where.")

    @model_validator(mode="after")
    def _one_model(self) -> AccuracyRow:
        if (self.checkpoint is None) == (self.exported is None):
            raise ValueError("give either checkpoint or exported")
        return self


class AccuracyRows(BaseModel):
    """The file: named places with where they usually are, and the rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    places: dict[str, str]
    rows: list[AccuracyRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _known_places(self) -> AccuracyRows:
        for row in self.rows:
            if row.data not in self.places:
                known = did_you_mean(row.data, self.places)
                raise ValueError(f"{row.name}: data '{row.data}' is not one of the places{known}")
        names = [row.name for row in self.rows]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two rows are named '{twice}'")
        return self

    def chosen(self, only: Optional[str], file: Path) -> list[AccuracyRow]:
        """Return the rows whose names match a shell pattern, or all.

        Raises:
            SlimError: none matches.
        """
        found = [row for row in self.rows if only is None or fnmatchcase(row.name, only)]
        if not found:
            known = did_you_mean(only or "", [row.name for row in self.rows])
            raise SlimError(f"--only {only}: no row of {file} has such a name{known}")
        return found


@dataclass(frozen=True)
class Places:
    """Where the files that rows name are.

    Attributes:
        file: of the rows.
        where: name of a place -> folder or file.
    """

    file: Path
    where: Mapping[str, Path]

    @classmethod
    def of(cls, file: Path, rows: AccuracyRows, options: Sequence[str]) -> Places:
        """The places of a file of rows, some of them replaced.

        Args:
            file: of the rows.
            rows: its content.
            options: ``NAME=PATH`` each, relative to the working directory.

        Raises:
            SlimError: an option has no such form, or names no place.
        """
        where = {name: (file.parent / path).resolve() for name, path in rows.places.items()}
        for option in options:
            name, sign, path = option.partition("=")
            if not sign or name not in where:
                raise SlimError(f"--place {option}: write NAME=PATH; names are {', '.join(where)}")
            where[name] = Path(path).resolve()
        return cls(file, where)

    def fill(self, text: str) -> str:
        """Replace ``{name}`` by the place."""
        for name, path in self.where.items():
            text = text.replace(f"{{{name}}}", str(path))
        return text

    def path(self, text: str) -> Path:
        """The path that a row means."""
        return (self.file.parent / self.fill(text)).resolve()


def read_rows(file: Path) -> AccuracyRows:
    """Read and check the file of rows.

    Raises:
        SlimError: it is missing, is not YAML, or has a key or value that is wrong.
    """
    if not file.is_file():
        raise SlimError(f"there is no file {file}; give the YAML with the rows")
    try:
        return AccuracyRows.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise SlimError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise SlimError(f"{file}: {first_mistake(error, AccuracyRows)}") from None
