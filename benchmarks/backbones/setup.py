"""The training that the matrix gives every backbone: one step on four digits, scaled up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.config import read_yaml_config
from ppcls_slim.compat.paddleclas.types import ClasConfig
from ppcls_slim.verify.samples import evaluation_data
from ppcls_slim.zoo.datasets.digits import write_digits

BATCH = 4
EVALUATED = 16


def data_folder(work: Path) -> Path:
    """Write the digits, with lists of a few of them, and return their folder; once for all backbones."""
    folder = work / "digits"
    write_digits(folder)
    for split, count in (("train", BATCH), ("test", EVALUATED)):
        listing = folder / f"few_{split}.txt"
        if not listing.is_file():
            lines = (folder / f"{split}_list.txt").read_text(encoding="utf-8").splitlines()
            listing.write_text("\n".join(lines[:: len(lines) // count][:count]) + "\n", encoding="utf-8")
    return folder


def configuration(
    backbone: dict[str, Any], slim: dict[str, Any], size: int, folder: Path, digits: Path, loss: str
) -> Path:
    """Write the YAML of one job, and return its path; ``tools/train.py -c`` repeats the training.

    Args:
        backbone: the ``Arch`` section.
        slim: the ``Slim`` section.
        size: of the images.
        folder: of this job.
        digits: see :func:`data_folder`.
        loss: name in ``ppcls.loss``.
    """
    everything = {
        "Global": {
            "checkpoints": None,
            "pretrained_model": None,
            "output_dir": str(folder / "output"),
            "save_inference_dir": str(folder / "inference"),
            "device": "cpu",
            "save_interval": 1,
            "eval_during_train": False,
            "eval_interval": 1,
            "epochs": 1,
            "print_batch_step": 1,
            "use_visualdl": False,
            "image_shape": [3, size, size],
            "seed": 0,
        },
        "Slim": slim,
        "Arch": backbone,
        "Loss": {"Train": [{loss: {"weight": 1.0}}], "Eval": [{"CELoss": {"weight": 1.0}}]},
        "Optimizer": {
            "name": "Momentum",
            "momentum": 0.9,
            "clip_norm": 1.0,  # an untrained RedNet has gradients of 300, and activations of 1e30 after such a step
            "lr": {"name": "Constant", "learning_rate": 0.001},
        },
        "DataLoader": {
            "Train": _loader(digits, "train", size, BATCH),
            "Eval": _loader(digits, "test", size, EVALUATED),
        },
        "Metric": {"Eval": [{"TopkAcc": {"topk": [1, 5]}}]},
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(everything, sort_keys=False), encoding="utf-8")
    return path


def _loader(digits: Path, split: str, size: int, batch: int) -> dict[str, Any]:
    steps = [
        {"DecodeImage": {"to_rgb": True, "channel_first": False}},
        {"ResizeImage": {"size": [size, size]}},
        {"NormalizeImage": {"scale": "1.0/255.0", "mean": [0.5] * 3, "std": [0.5] * 3, "order": ""}},
    ]
    dataset = {
        "name": "ImageNetDataset",
        "image_root": str(digits),
        "cls_label_path": str(digits / f"few_{split}.txt"),
        "transform_ops": steps,
    }
    sampler = {"name": "DistributedBatchSampler", "batch_size": batch, "drop_last": False, "shuffle": False}
    return {"dataset": dataset, "sampler": sampler, "loader": {"num_workers": 0, "use_shared_memory": False}}


def digits_as_images(config: ClasConfig, count: int) -> np.ndarray:
    """``[count, 3, size, size]`` of the evaluation data, preprocessed as in training.

    Raises:
        SlimError: there is no evaluation data.
    """
    loader = evaluation_data(config)
    if loader is None:
        raise SlimError("coverage: the digits that models are evaluated on are gone")
    batch = next(iter(loader))
    return np.asarray(batch[0], dtype=np.float32)[:count]


def with_keys(path: Path, **keys: object) -> ClasConfig:
    """Read the YAML with keys of ``Global`` replaced."""
    config: ClasConfig = read_yaml_config(path, [f"Global.{key}={value}" for key, value in keys.items()])
    config["profiler_options"] = None
    return config
