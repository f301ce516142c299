"""``tools/regress.py``: accuracy against what is published, row by row.

A row names a configuration, a checkpoint (or an exported model), and the accuracy that it has to have. A row
whose data or weights are not there is reported as not run, never as passed.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Optional

import yaml
from prettytable import PrettyTable
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.atomic import write_text
from ppcls_slim.common.errors import SlimError, did_you_mean

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


class Row(BaseModel):
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
    def _one_model(self) -> Row:
        if (self.checkpoint is None) == (self.exported is None):
            raise ValueError("give either checkpoint or exported")
        return self


class Rows(BaseModel):
    """The file: named places with where they usually are, and the rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    places: dict[str, str]
    rows: list[Row] = Field(min_length=1)

    @model_validator(mode="after")
    def _known_places(self) -> Rows:
        for row in self.rows:
            if row.data not in self.places:
                raise ValueError(f"{row.name}: data '{row.data}' is no place{did_you_mean(row.data, self.places)}")
        names = [row.name for row in self.rows]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two rows are named '{twice}'")
        return self


def regress(file: Path, only: Optional[str], places: Sequence[str], json_file: Optional[Path]) -> bool:
    """Evaluate, print a table, write JSON.

    Args:
        file: the rows, YAML.
        only: shell pattern on their names; None for all.
        places: ``NAME=PATH``, instead of the file's.
        json_file: written as a whole when all rows are done.

    Returns:
        Whether no row that was run lies below its tolerance.

    Raises:
        SlimError: the file of rows or an option is wrong.
    """
    rows = read_rows(file)
    where = {name: _relative(file, path) for name, path in rows.places.items()}
    for option in places:
        name, sign, path = option.partition("=")
        if not sign or name not in where:
            raise SlimError(f"--place {option}: write NAME=PATH; names are {', '.join(where)}")
        where[name] = Path(path).resolve()
    chosen = [row for row in rows.rows if only is None or fnmatchcase(row.name, only)]
    if not chosen:
        raise SlimError(f"--only {only}: no row of {file} has such a name{did_you_mean(only or '', _names(rows))}")
    results = []
    for row in chosen:
        results.append(run_row(row, file, where))
        print(_line(results[-1]), flush=True)
    print(table(results))
    if json_file is not None:
        record = {"rows": results, "written_by": checkpoints.versions()}
        write_text(json_file, json.dumps(record, indent=1) + "\n")
    return all(result["status"] != FAILED for result in results)


def read_rows(file: Path) -> Rows:
    """Read and check the file of rows.

    Raises:
        SlimError: it is missing, no YAML, or has a key or value that is wrong.
    """
    if not file.is_file():
        raise SlimError(f"there is no file {file}; give the YAML with the rows")
    try:
        return Rows.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise SlimError(f"{file} is no valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise SlimError(f"{file}: {_what_is_wrong(error)}") from None


def _what_is_wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = list((Row if first["loc"][0] == "rows" else Rows).model_fields)
        return f"unknown key {where}{did_you_mean(str(first['loc'][-1]), known)}; known are {', '.join(known)}"
    if first["type"] == "value_error":
        return f"{where}{': ' if where else ''}{first['ctx']['error']}"
    return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}"


def run_row(row: Row, file: Path, where: Mapping[str, Path]) -> dict[str, Any]:
    """Evaluate one row; the result is plain data with ``status`` and, if it was run, ``measured``."""
    result: dict[str, Any] = {**row.model_dump(), "measured": None, "status": NOT_RUN, "why": "", "seconds": None}
    model = _relative(file, _placed(row.checkpoint or row.exported or "", where))
    missing = next((path for path in (where[row.data], _on_disk(model)) if not path.exists()), None)
    if missing is not None:
        return {**result, "why": f"there is no {missing}"}
    start = time.perf_counter()
    try:
        measured = round(100 * _accuracy(row, file, where, model), 2)
    except Exception as error:  # whatever stops this row, the others are still to be run
        reason = (str(error).strip().splitlines() or [""])[-1]
        kind = "" if isinstance(error, SlimError) else f"{type(error).__name__}: "
        return {**result, "status": FAILED, "why": f"{kind}{reason}"}
    passed = measured >= round(row.published - row.tolerance, 6)
    seconds = round(time.perf_counter() - start, 1)
    return {**result, "measured": measured, "status": PASSED if passed else FAILED, "seconds": seconds}


def _accuracy(row: Row, file: Path, where: Mapping[str, Path], model: Path) -> float:
    from ppcls_slim.compat.paddleclas.patches import read_yaml_config

    overrides = [_placed(one, where) for one in row.override]
    config = read_yaml_config(_relative(file, row.config), overrides)
    with tempfile.TemporaryDirectory() as scratch:
        config["Global"].update(output_dir=f"{scratch}/output", save_inference_dir=f"{scratch}/inference")
        if row.exported is not None:
            return _of_exported(config, model)
        if model.suffix == ".safetensors":
            from benchmarks.accuracy.import_weights import import_weights

            import_weights(model, Path(scratch) / "imported", row.bits, row.int8)
            model = Path(scratch) / "imported"
        config["Global"]["pretrained_model"] = str(model)
        return _of_exported(config, None) if row.run == "inference" else _of_checkpoint(config)


def _of_checkpoint(config: Any) -> float:
    from ppcls_slim.engine.engine import SlimEngine
    from ppcls_slim.verify.accuracy import top1

    engine = SlimEngine(config, "eval")
    return top1(engine.model, engine.eval_dataloader)


def _of_exported(config: Any, folder: Optional[Path]) -> float:
    from ppcls_slim.compat.paddleclas.patches import copy_config
    from ppcls_slim.deploy.pipeline import export_checked
    from ppcls_slim.deploy.runtime import Predictor
    from ppcls_slim.engine.engine import SlimEngine, ppcls_engine
    from ppcls_slim.verify.accuracy import top1_of
    from ppcls_slim.verify.export_parity import evaluation_loader

    data = copy_config(config)  # the engine consumes parts of the configuration
    if folder is None:
        folder = Path(config["Global"]["save_inference_dir"])
        export_checked(SlimEngine(config, "export"), compare=False)
    loader = evaluation_loader(data, ppcls_engine.build_dataloader)
    if loader is None:
        raise SlimError("DataLoader.Eval: its files are not there")
    return top1_of(Predictor(folder, "gpu" if data["Global"]["device"] == "gpu" else "cpu"), loader)


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as text, and a last line with the counts."""
    shown = PrettyTable(["row", "published", "tolerance", "measured", "status", "source"])
    shown.align = "l"
    for result in results:
        measured = "" if result["measured"] is None else f"{result['measured']:.2f}"
        shown.add_row(
            [result["name"], f"{result['published']:.2f}", f"{result['tolerance']:.2f}", measured,
             result["status"], result["source"]]
        )  # fmt: skip
    counts = [sum(result["status"] == status for result in results) for status in (PASSED, FAILED, NOT_RUN)]
    return f"{shown.get_string()}\n{counts[0]} passed, {counts[1]} failed, {counts[2]} not run"


def _line(result: Mapping[str, Any]) -> str:
    measured = "" if result["measured"] is None else f" {result['measured']:.2f}"
    return f"{result['name']}:{measured} {result['status']}{': ' if result['why'] else ''}{result['why']}"


def _names(rows: Rows) -> list[str]:
    return [row.name for row in rows.rows]


def _placed(text: str, where: Mapping[str, Path]) -> str:
    for name, path in where.items():
        text = text.replace(f"{{{name}}}", str(path))
    return text


def _relative(file: Path, path: str) -> Path:
    return (file.parent / path).resolve()


def _on_disk(model: Path) -> Path:
    """The file that says whether the model is there: checkpoints are named without ``.pdparams``."""
    weights = checkpoints.with_suffix(model, checkpoints.WEIGHTS)
    return weights if not model.exists() and model.suffix != ".safetensors" else model
