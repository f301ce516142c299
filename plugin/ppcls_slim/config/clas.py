"""What is needed of PaddleClas's own sections. Keys that are not listed are PaddleClas's, and are left to it.

PaddleClas reads its configuration where it needs a value; a wrong one raises somewhere, after minutes. Here the
values that a run with the given command will need are looked at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Optional, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..common.errors import SlimError, did_you_mean
from ..common.validation import first_mistake
from .base import LARGEST_SIDE, MOST
from .section import Configuration


class _Lax(BaseModel):
    """Unknown keys pass; known ones have the type that they have in PaddleClas's files."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


def _path(value: str) -> str:
    if "\0" in value or any(len(part.encode("utf-8", "surrogatepass")) > 200 for part in value.split("/")):
        raise ValueError("that is not a path: a part of it has more than 200 characters, or one that no path has")
    return value


def _not_zero(value: int) -> int:
    if value == 0:
        raise ValueError("give a number of epochs of 1 or more")
    return value


Path = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_path)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Natural = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Shape = Annotated[list[Annotated[int, Field(ge=1, le=LARGEST_SIDE)]], Field(min_length=3, max_length=3)]
"""Whole numbers as PaddleClas takes them; ``Slim``'s own would let ``32.0`` pass."""
Interval = Annotated[int, Field(ge=-MOST, le=MOST), AfterValidator(_not_zero)]
Named = Annotated[dict[str, Optional[dict[str, Any]]], Field(min_length=1, max_length=1)]
"""``{Operator: {argument: value}}``, as PaddleClas writes operators, losses and metrics."""


class GlobalSection(_Lax):
    """``Global``."""

    device: str = "cpu"
    output_dir: Path = ""
    save_inference_dir: Path = ""
    pretrained_model: Optional[Path] = None
    checkpoints: Optional[Path] = None
    image_shape: Shape = []
    epochs: Natural = 0
    save_interval: Interval = 1
    eval_interval: Positive = 1
    start_eval_epoch: Natural = 0
    print_batch_step: Positive = 1
    update_freq: Positive = 1
    iter_per_epoch: Positive = 1
    eval_during_train: bool = False
    use_visualdl: bool = False
    use_dali: bool = False
    to_static: bool = False
    use_multilabel: bool = False
    eval_mode: str = "classification"
    train_mode: str = ""
    class_num: Positive = 1
    seed: Union[Seed, bool, None] = None


class ArchSection(_Lax):
    """``Arch``."""

    name: str = ""
    class_num: Positive = 1
    pretrained: Union[bool, str, None] = None
    use_sync_bn: bool = False
    Backbone: Optional[dict[str, Any]] = None
    Neck: Optional[dict[str, Any]] = None
    Head: Optional[dict[str, Any]] = None


class DatasetSection(_Lax):
    """``DataLoader.*.dataset``."""

    name: str
    transform_ops: Optional[list[Named]] = None
    batch_transform_ops: Optional[list[Named]] = None


class SamplerSection(_Lax):
    """``DataLoader.*.sampler``."""

    name: Optional[str] = None
    batch_size: Positive = 1
    drop_last: bool = False
    shuffle: bool = False


class LoaderSection(_Lax):
    """``DataLoader.*.loader``."""

    num_workers: Natural
    use_shared_memory: bool


class PartSection(_Lax):
    """``DataLoader.Train`` or ``.Eval``."""

    dataset: DatasetSection
    sampler: SamplerSection
    loader: LoaderSection


class EvalSection(_Lax):
    """``DataLoader.Eval``: a part, or ``Query`` and ``Gallery`` for retrieval."""

    dataset: Optional[DatasetSection] = None
    sampler: Optional[SamplerSection] = None
    loader: Optional[LoaderSection] = None
    Query: Optional[PartSection] = None
    Gallery: Optional[PartSection] = None


class DataLoaderSection(_Lax):
    """``DataLoader``."""

    Train: Optional[PartSection] = None
    Eval: Optional[EvalSection] = None


class TrainAndEvalSection(_Lax):
    """``Loss`` or ``Metric``."""

    Train: Optional[list[Named]] = None
    Eval: Optional[list[Named]] = None


class LearningRateSection(_Lax):
    """``Optimizer.lr``."""

    name: Optional[str] = None
    learning_rate: Optional[Annotated[float, Field(ge=0)]] = None


class OptimizerSection(_Lax):
    """``Optimizer``."""

    name: str
    lr: LearningRateSection


class InferSection(_Lax):
    """``Infer``."""

    infer_imgs: Optional[Path] = None
    batch_size: Positive = 1
    transforms: list[Named] = Field(default_factory=list)
    PostProcess: dict[str, Any] = Field(default_factory=dict)


class ClasSections(_Lax):
    """The sections of a PaddleClas configuration."""

    Global: GlobalSection
    Arch: ArchSection
    DataLoader: Optional[DataLoaderSection] = None
    Loss: Optional[TrainAndEvalSection] = None
    Metric: Optional[TrainAndEvalSection] = None
    Optimizer: Optional[OptimizerSection] = None
    Infer: Optional[InferSection] = None
    AMP: Optional[dict[str, Any]] = None
    EMA: Optional[dict[str, Any]] = None

    @field_validator("Optimizer", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """A list of optimizers, one for a part of the model, is left to PaddleClas."""
        return None if isinstance(value, list) and value else value


_ALWAYS = ("Arch.name", "Global.device", "Global.image_shape")
_ENGINE = (*_ALWAYS, "Global.output_dir", "Global.use_visualdl", "DataLoader")
_EVAL = ("DataLoader.Eval", "Global.print_batch_step")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "train": (
        *_ENGINE,
        *(f"Global.{key}" for key in ("epochs", "save_interval", "print_batch_step", "eval_during_train")),
        "DataLoader.Train",
        "Loss.Train",
        "Optimizer",
    ),
    "eval": (*_ENGINE, *_EVAL),
    "infer": (*_ENGINE, "Infer.infer_imgs", "Infer.transforms", "Infer.batch_size", "Infer.PostProcess.name"),
    "export": (*_ENGINE, "Global.save_inference_dir"),
    "plan": _ALWAYS,
    "benchmark": _EVAL,
}


def check_sections(config: Configuration, command: str) -> None:
    """Refuse what PaddleClas would raise on.

    Args:
        config: PaddleClas configuration.
        command: of the command line: which keys are needed.

    Raises:
        SlimError: names the key.
    """
    plain = {key: config.get(key) for key in ClasSections.model_fields if key in config}
    for key in ("Global", "Arch"):
        if not isinstance(plain.get(key), Mapping):
            raise SlimError(
                f"the section {key} is missing{_misspelt(key, config)}; is it a PaddleClas configuration?"
            )
    try:
        found = ClasSections.model_validate(plain)
    except ValidationError as error:
        raise SlimError(first_mistake(error, ClasSections)) from None
    required = [*REQUIRED.get(command, _ALWAYS)]
    if command == "train" and found.Global.eval_during_train:
        required += [*_EVAL, "Global.eval_interval"]
    evaluation = found.DataLoader.Eval if found.DataLoader is not None else None
    if "DataLoader.Eval" in required and not (evaluation and (evaluation.Query or evaluation.Gallery)):
        required += [f"DataLoader.Eval.{part}" for part in PartSection.model_fields]
    for key in required:
        _check_present(config, key)
    for key in config:
        _check_lists(config.get(key), key)


def _check_present(config: Configuration, key: str) -> None:
    part: Any = config
    for word in key.split("."):
        if not isinstance(part, Mapping) or part.get(word) is None:
            raise SlimError(f"{key} is missing{_misspelt(word, part)}; give it in the file, or with -o {key}=...")
        part = part[word]


def _check_lists(value: Any, key: str) -> None:
    """PaddleClas prints a list whose first item is a section as sections."""
    if isinstance(value, list):
        if value and isinstance(value[0], Mapping) and not all(isinstance(one, Mapping) for one in value):
            raise SlimError(f"{key} is a list of sections with something else in it: {value!r:.80}")
        for i, one in enumerate(value):
            _check_lists(one, f"{key}.{i}")
    elif isinstance(value, Mapping):
        for word, one in value.items():
            _check_lists(one, f"{key}.{word}")


def _misspelt(word: str, part: Any) -> str:
    """A key of the section that may be meant."""
    if not isinstance(part, Mapping):
        return ""
    near = did_you_mean(word, [key for key in part if isinstance(key, str)])
    return near.replace("did you mean", "instead there is").replace("?", "")
