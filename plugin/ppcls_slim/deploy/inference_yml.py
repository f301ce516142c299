"""``inference.yml``: pre- and postprocessing beside the exported model.

The keys are those that PaddleClas's ``deploy/python/predict_cls.py`` reads, so that it runs with
``-c inference.yml``. PaddleClas develop writes a file of this name with the class names inside ``Topk``
(``label_list``), which its own ``predict_cls.py`` refuses; here they are beside it in ``labels.txt``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..common.errors import SlimError
from ..common.numbers import parse_number
from ..common.validation import first_mistake
from ..common.yaml_file import read_yaml
from ..compat.paddleclas.faults.label_paths import resolve_ppcls_path
from ..compat.paddleclas.types import ClasConfig

LABELS = "labels.txt"
Operator = Annotated[dict[str, Optional[dict[str, Any]]], Field(min_length=1, max_length=1)]


class TopkOptions(BaseModel):
    """``PostProcess.Topk``: how class scores are reported."""

    model_config = ConfigDict(strict=True)

    topk: int = Field(5, ge=1)


class ImageSteps(BaseModel):
    """What is done to an image."""

    transform_ops: list[Operator]


class OutputSteps(BaseModel):
    """What is done to the output; nothing to features."""

    Topk: Optional[TopkOptions] = None


class InferenceYml(BaseModel):
    """What is needed of an ``inference.yml``, which somebody else may have written."""

    PreProcess: ImageSteps
    PostProcess: OutputSteps


def read_inference_yml(file: Path) -> InferenceYml:
    """Read pre- and postprocessing.

    Raises:
        SlimError: the file does not say what is needed.
    """
    try:
        return InferenceYml.model_validate(read_yaml(file))
    except ValidationError as error:
        raise SlimError(f"{file}: {first_mistake(error, InferenceYml)}") from None


def labels_file(config: ClasConfig) -> Optional[Path]:
    """Return the file of class names that a PaddleClas configuration names, if it is there."""
    section = (config.get("Infer") or {}).get("PostProcess") or {}
    labels = resolve_ppcls_path(section.get("class_id_map_file"))
    return Path(labels) if labels and Path(labels).is_file() else None


def plain_yml(name: str, input_shape: Sequence[int], transform_ops: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the file's text for a model without a PaddleClas configuration.

    Args:
        name: of the model.
        input_shape: ``[C, H, W]``.
        transform_ops: PaddleClas's operators from a decoded image to the input, which ``ppcls-slim predict`` needs;
            without them the file says only what ``ppcls-slim benchmark`` needs.
    """
    content: dict[str, Any] = {"Global": {"model_name": name, "image_shape": [int(side) for side in input_shape]}}
    if transform_ops:
        content["PreProcess"] = {"transform_ops": [dict(one) for one in transform_ops]}
        content["PostProcess"] = {"main_indicator": "Topk", "Topk": {"topk": 5}}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def inference_yml(config: ClasConfig) -> str:
    """Return the file's text for a PaddleClas configuration."""
    content: dict[str, Any] = {
        "Global": _global(config),
        "PreProcess": {"transform_ops": _operators(config)},
        "PostProcess": _postprocess(config),
    }
    return yaml.safe_dump(_without_attr_dict(content), sort_keys=False, allow_unicode=True)


def _global(config: ClasConfig) -> dict[str, Any]:
    gpu = config["Global"]["device"] == "gpu"
    return {
        "model_name": config["Arch"]["name"],
        "infer_imgs": (config.get("Infer") or {}).get("infer_imgs"),
        "inference_model_dir": config["Global"]["save_inference_dir"],
        "image_shape": list(config["Global"]["image_shape"]),
        "batch_size": 1,
        "use_gpu": gpu,
        "enable_mkldnn": not gpu,
        "cpu_num_threads": 1,
        "enable_benchmark": False,
        "enable_profile": False,
        "benchmark": False,
        "use_fp16": False,
        "use_tensorrt": False,
        "ir_optim": True,
        "gpu_mem": 8000,
    }


def _operators(config: ClasConfig) -> list[dict[str, Any]]:
    """Preprocessing without ``DecodeImage`` (the deploy tools decode themselves), numbers evaluated."""
    if config.get("Infer"):
        operators = copy.deepcopy(config["Infer"]["transforms"])
    else:  # retrieval: users send queries
        part = config["DataLoader"]["Eval"]
        dataset = part.get("Query", part.get("Gallery", part))["dataset"]
        operators = [*copy.deepcopy(dataset.get("transform_ops") or []), {"ToCHWImage": None}]
    for operator in operators:
        normalize = operator.get("NormalizeImage")
        if normalize:
            normalize["channel_num"] = int(config["Global"]["image_shape"][0])
            scale = normalize.get("scale")
            if isinstance(scale, str):  # 1.0/255.0: PaddleClas writes quotients into its configurations
                normalize["scale"] = parse_number(scale, "NormalizeImage.scale")
    return [operator for operator in operators if "DecodeImage" not in operator]


def _postprocess(config: ClasConfig) -> dict[str, Any]:
    if not config.get("Infer"):
        return {"NormalizeFeatures": None}
    section = copy.deepcopy(config["Infer"]["PostProcess"])
    name = section.pop("name", "Topk")
    section.pop("class_id_map_file", None)
    if labels_file(config) is not None:
        section["class_id_map_file"] = str(Path(config["Global"]["save_inference_dir"]) / LABELS)
    return {"main_indicator": name, name: section}


def _without_attr_dict(value: Any) -> Any:
    """Replace dictionaries of PaddleClas's own class by plain ones, which YAML can write."""
    if isinstance(value, dict):
        return {key: _without_attr_dict(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_attr_dict(one) for one in value]
    return value
