"""What is tried on: quickstart digits, two tiny epochs, in every way to compress."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ppcls_slim.zoo.datasets.digits import write_digits

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "ppcls_configs/quickstart"
_PRUNE = {"name": "fpgm", "pruned_ratio": 0.4}
_MASKED = {**_PRUNE, "schedule": {"name": "masked"}}
_QUANT = {"name": "pact", "calibration_batches": 1}
_SECOND = {**_QUANT, "epochs": 2, "learning_rate": 0.005}
SECTIONS: dict[str, dict[str, Any]] = {  # scenario -> its Slim section
    "dense": {},
    "prune": {"prune": _PRUNE},
    "masked": {"prune": _MASKED},
    "quantize": {"quant": _QUANT},
    "two_stage": {"prune": _PRUNE, "quant": _SECOND},
    "masked_two_stage": {"prune": _MASKED, "quant": _SECOND},
}
TWO_STAGES = ("two_stage", "masked_two_stage")
IMAGES = {"train": 32, "test": 16}
EPOCHS = 2


@dataclass(frozen=True)
class Workload:
    """Data and configurations.

    Attributes:
        folder: holds everything.
        only: scenarios to try; empty: all.
    """

    folder: Path
    only: tuple[str, ...] = ()

    def among(self, scenarios: Sequence[str]) -> list[str]:
        """Those of them that are tried."""
        return [one for one in scenarios if not self.only or one in self.only]

    @property
    def digits(self) -> Path:
        """Images and their lists."""
        return self.folder / "digits"

    def prepare(self) -> None:
        """Write the data; not in a process that forks (scikit-learn starts threads)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_digits(self.digits)
        for split, count in IMAGES.items():
            lines = (self.digits / f"{split}_list.txt").read_text(encoding="utf-8").splitlines()
            few = lines[:: len(lines) // count][:count]
            (self.digits / f"few_{split}.txt").write_text("\n".join(few) + "\n", encoding="utf-8")

    def config(self, scenario: str, folder: Path, epochs: int = EPOCHS) -> dict[str, Any]:
        """A PaddleClas configuration whose output goes below ``folder``; ``Global`` and ``Slim`` come first."""
        loaded = yaml.safe_load((QUICKSTART / "digits_prune.yaml").read_text(encoding="utf-8"))
        slim: dict[str, Any] = copy.deepcopy(SECTIONS[scenario])
        if "epochs" in slim.get("quant", {}):
            slim["quant"]["epochs"] = epochs
        settings = {
            **loaded["Global"],
            "pretrained_model": str(QUICKSTART / "digits_dense"),
            "output_dir": str(folder / "output"),
            "save_inference_dir": str(folder / "inference"),
            "epochs": 1 if scenario in TWO_STAGES else epochs,
            "save_interval": 1,
            "print_batch_step": 100,
            "seed": 7,
        }
        rest = {key: value for key, value in loaded.items() if key not in ("Global", "Slim")}
        for part, split in (("Train", "train"), ("Eval", "test")):
            dataset = rest["DataLoader"][part]["dataset"]
            del dataset["split"]
            dataset.update(
                name="ImageNetDataset",
                image_root=str(self.digits),
                cls_label_path=str(self.digits / f"few_{split}.txt"),
            )
            rest["DataLoader"][part]["sampler"]["batch_size"] = 16
        return {"Global": settings, **({"Slim": slim} if slim else {}), **rest}

    def write(self, scenario: str, folder: Path, epochs: int = EPOCHS) -> Path:
        """Write :meth:`config` into ``folder``."""
        return write_config(folder / "config.yaml", self.config(scenario, folder, epochs))


def write_config(path: Path, config: Mapping[str, Any]) -> Path:
    """Write a configuration as YAML, its keys in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    return path


def prefix_of(folder: Path, name: str) -> Path:
    """Where a finished run of :meth:`Workload.config` has the checkpoint ``name`` of its last stage.

    Args:
        folder: that the configuration was made for.
        name: ``latest``, ``best_model``, ``epoch_1``.
    """
    weights = (path for path in (folder / "output").glob(f"**/{name}.pdparams") if not _is_aside(path, folder))
    return min(weights, key=lambda path: len(path.parts)).with_suffix("")  # the float stage lies a folder deeper


def files_of(prefix: Path) -> list[Path]:
    """The files of a checkpoint."""
    return sorted(path for path in prefix.parent.glob(f"{prefix.name}.*") if path.is_file())


def _is_aside(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
