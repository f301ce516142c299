"""What a command works on, in five lines; the whole configuration is in a file beside the log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..common.atomic import write_text
from ..compat.paddle import paddle
from ..compat.paddleclas.find import ppcls_version
from ..compat.paddleclas.types import ClasConfig, ClasEngine
from ..report.tables import WIDTH, cut

CONFIG = "config.yaml"
_NOT_OF_THE_FILE = ("profiler_options",)
"""Keys that a command line adds."""


def banner(config: ClasConfig, engine: ClasEngine, log_file: Path) -> list[str]:
    """Model, device, data, what ``Slim`` does, and where the output goes.

    Args:
        config: PaddleClas configuration, as it was given.
        engine: whose data is loaded already, and whose configuration names the checkpoint that ``auto`` found.
        log_file: of this run.
    """
    section = config["Global"]
    weights = engine.config["Global"].get("checkpoints") if engine.mode == "train" else None
    weights = weights or section.get("pretrained_model") or "none"
    facts = {
        "model": f"{config['Arch']['name']}, input {section.get('image_shape')}, weights: {weights}",
        "device": f"{section['device']}, Paddle {paddle.__version__}, PaddleClas {ppcls_version()}",
        "data": _data(config, engine),
        "Slim": _slim(config.get("Slim") or {}),
        "output": _output(config, engine.mode, log_file),
    }
    return [cut(f"{name + ':':<8}{fact}", WIDTH) for name, fact in facts.items() if fact]


def write_config(config: ClasConfig, folder: Path) -> Path:
    """Write a configuration, overrides included, such that ``-c`` reads it."""
    file = folder / CONFIG
    content = {key: value for key, value in _plain(config).items() if key not in _NOT_OF_THE_FILE}
    write_text(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return file


def _data(config: ClasConfig, engine: ClasEngine) -> str:
    if engine.mode == "infer":
        return str(config["Infer"]["infer_imgs"])
    parts = []
    for loader, part, word in (("train_dataloader", "Train", "training"), ("eval_dataloader", "Eval", "evaluation")):
        dataset = getattr(getattr(engine, loader, None), "dataset", None)
        if dataset is not None:
            batch = config["DataLoader"][part]["sampler"]["batch_size"]
            parts.append(f"{len(dataset)} {word} images in batches of {batch}")
    return ", ".join(parts)


def _slim(section: Mapping[str, Any]) -> str:
    parts = []
    for name, keys in section.items():
        if isinstance(keys, Mapping):
            parts.append(f"{name} ({', '.join(f'{key}: {value}' for key, value in keys.items())})")
        elif keys is not None:
            parts.append(f"{name}: {keys}")
    return ", ".join(parts) or "no section"


def _output(config: ClasConfig, mode: str, log_file: Path) -> str:
    if mode == "export":
        return f"{config['Global']['save_inference_dir']}, log {log_file}"
    return f"{log_file.parent}: {log_file.name}{f', {CONFIG}, checkpoints' if mode == 'train' else ''}"


def _plain(value: Any) -> Any:
    """Without PaddleClas's own dictionaries, which YAML would name."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
