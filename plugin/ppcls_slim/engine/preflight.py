"""Look before anything is built: device, data, checkpoint. Each problem is one line with the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from .. import checkpoint as checkpoints
from ..checkpoint import Checkpoint
from ..common.errors import SlimError, did_you_mean
from ..compat.paddle import gpu_available, paddle, usable
from ..compat.paddleclas.clear_errors import clear_errors
from ..compat.paddleclas.console_log import init_logger
from ..compat.paddleclas.stand_ins import averages_weights
from ..compat.paddleclas.types import ClasConfig, DataLoader
from ..config.section import SlimConfig, read_section
from ..zoo.datasets import ON_DEMAND


def check_device(config: ClasConfig) -> None:
    """Refuse a device that this Paddle cannot use.

    Raises:
        SlimError: with the remedy.
    """
    device = config["Global"]["device"]
    if device == "gpu" and not gpu_available():
        built = "has no CUDA" if not paddle.device.is_compiled_with_cuda() else "sees no GPU"
        raise SlimError(
            f"Global.device is gpu, but this Paddle {paddle.__version__} {built}: use -o Global.device=cpu, "
            "or install paddlepaddle-gpu"
        )
    if not isinstance(device, str) or not device.isidentifier():
        raise SlimError(f"Global.device: '{device}' is not the name of a kind of device, such as cpu or gpu")
    if not usable(device):
        raise SlimError(
            f"Global.device is {device}, which this Paddle {paddle.__version__} cannot use"
            f"{did_you_mean(device, {'cpu', 'gpu'} - {device})}: use cpu or gpu, or install a Paddle built for it"
        )


def check_data(config: ClasConfig, mode: str) -> None:
    """Refuse paths that do not exist before anything is built.

    Raises:
        SlimError: names the key.
    """
    for line in missing_data(config, mode):
        raise SlimError(line)
    if mode == "infer":
        images = config["Infer"]["infer_imgs"]
        if not images or not Path(images).exists():
            raise SlimError(f"Infer.infer_imgs: {images} does not exist; give an image or a folder of images")


def missing_data(config: ClasConfig, mode: str) -> Iterator[str]:
    """Say which folders and lists of the data sets do not exist, a line for each."""
    parts = {"train": ["Train", "Eval"], "eval": ["Eval"]}.get(mode, [])
    for part in parts:
        if part == "Eval" and mode == "train" and not config["Global"].get("eval_during_train"):
            continue
        for key, value in _paths(config.get("DataLoader", {}).get(part) or {}, f"DataLoader.{part}"):
            if not Path(value).exists():
                yield f"{key}: {value} does not exist; give the right path with -o {key}=..."


def _paths(section: Mapping[str, Any], where: str) -> list[tuple[str, str]]:
    found = []
    for key, value in section.items():
        if isinstance(value, dict) and key != "transform_ops":
            if value.get("name") not in ON_DEMAND:
                found += _paths(value, f"{where}.{key}")
        elif key in ("image_root", "cls_label_path", "data_file") and isinstance(value, str):
            found.append((f"{where}.{key}", value))
    return found


def check_ema(config: ClasConfig, slim: SlimConfig, mode: str) -> None:
    """Refuse a section EMA that this PaddleClas would pass over, or that contradicts a schedule.

    Raises:
        SlimError: with the remedy.
    """
    if not config.get("EMA"):
        return
    if mode == "train" and not averages_weights():
        raise SlimError(
            "EMA: this PaddleClas keeps no moving average of the weights and would ignore the section: remove it "
            "(-o EMA=None), or use a PaddleClas source checkout of release/2.5 or later"
        )
    if slim.prune is not None and slim.prune.schedule is not None:
        raise SlimError("EMA: averaged weights are not zero where Slim.prune.schedule zeroes: remove one of them")


def check_compression(config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint], mode: str) -> None:
    """Refuse a ``Slim`` section that does not go with the checkpoint or the mode.

    Raises:
        SlimError: with the remedy.
    """
    if checkpoint is not None and checkpoint.quant is not None:
        _check_quantized(config, slim, checkpoint, mode)
        return
    if slim.quant is not None:
        _check_float(config, checkpoint, mode)
    dense = checkpoint is None or (checkpoint.plan is None and checkpoint.masked is None)
    if slim.prune is not None and dense and mode != "train":
        raise SlimError(no_plan(checkpoint, mode))


def _check_quantized(config: ClasConfig, slim: SlimConfig, checkpoint: Checkpoint, mode: str) -> None:
    _check_amp(config)
    if slim.prune is not None and slim.quant is None and mode == "train" and checkpoint.plan is None:
        raise SlimError(
            f"Slim.prune: {checkpoint.weights} is quantized already; prune the float model first, then quantize"
        )


def _check_float(config: ClasConfig, checkpoint: Optional[Checkpoint], mode: str) -> None:
    """``Slim.quant`` with a checkpoint that is float, or none."""
    _check_amp(config)
    if mode != "train":
        where = f"{checkpoint.weights} is float, and" if checkpoint is not None else "there is no checkpoint:"
        raise SlimError(
            f"Slim.quant: {where} {mode} needs a quantized checkpoint with its .slim.json; train it first, or remove "
            "Slim.quant to use the float model"
        )
    if checkpoint is not None and config["Global"].get("checkpoints"):
        raise SlimError(
            f"Global.checkpoints: {checkpoint.weights} is float and cannot resume a quantized training; give it as "
            "Global.pretrained_model"
        )


def _check_amp(config: ClasConfig) -> None:
    section = config.get("AMP")
    if section and section.get("use_amp", True):
        raise SlimError(
            "AMP: fake quantizers have not been tried with it; set -o AMP.use_amp=False (or -o AMP=None) to train or "
            "evaluate a quantized model in float32"
        )


def find_checkpoint(config: ClasConfig, mode: str) -> Optional[Checkpoint]:
    """Open ``Global.checkpoints`` (training) or ``Global.pretrained_model``.

    Raises:
        SlimError: see :func:`ppcls_slim.checkpoint.open_checkpoint`.
    """
    section = config["Global"]
    resume = section.get("checkpoints") if mode == "train" else None
    path = resume or section.get("pretrained_model")
    key = "Global.checkpoints" if resume else "Global.pretrained_model"
    if not path:
        return None
    found = open_named(str(path), key)
    if resume:
        _check_resumed(found, read_section(config) or SlimConfig(), key)
    return found


def open_named(path: str, key: str) -> Checkpoint:
    """Open a checkpoint, which an address may name, too.

    Raises:
        SlimError: see :func:`ppcls_slim.checkpoint.open_checkpoint`.
    """
    if path.startswith(("http://", "https://")):
        path = _download(path, key)
    return checkpoints.open_checkpoint(path, key)


def _check_resumed(found: Checkpoint, slim: SlimConfig, key: str) -> None:
    """A training is resumed with the ``Slim.prune`` section that it began with."""
    scheduled = slim.prune is not None and slim.prune.schedule is not None
    if found.masked is not None and not scheduled:
        raise SlimError(
            f"{key}: {found.weights} is of a training with Slim.prune.schedule: keep that section to resume, or give "
            "the checkpoint as Global.pretrained_model to go on without what is zeroed"
        )
    if found.quant is not None:
        return  # the second stage of Slim.quant.epochs: a schedule has ended with the first
    if found.masked is None and found.plan is None and slim.prune is not None:
        raise SlimError(no_plan(found, "train"))
    if found.plan is not None and scheduled:
        raise SlimError(
            f"{key}: {found.weights} is pruned already; give it as Global.pretrained_model to fine-tune it, or "
            "resume from the latest checkpoint of the training with the schedule"
        )


def _download(address: str, key: str) -> str:
    from ppcls.utils.download import get_weights_path_from_url  # takes a second to import

    init_logger()  # the download logs, and fails without
    try:
        return str(get_weights_path_from_url(address))
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise SlimError(f"{key}: {address} cannot be downloaded ({reason}); give a file instead") from error


def no_plan(found: Optional[Checkpoint], mode: str) -> str:
    """The message for a pruning section without a checkpoint that says what was pruned."""
    if found is None:
        return f"Slim.prune: {mode} needs a pruned checkpoint; give it with -o Global.pretrained_model=..."
    sidecar = checkpoints.with_suffix(found.path_prefix, checkpoints.SIDECAR)
    if found.manifest.complete:
        return f"Slim.prune: {found.weights} is dense: remove the section, or give it to train as pretrained_model"
    return (
        f"{found.weights} has no plan beside it ({sidecar.name}), so nothing says how it was pruned: copy that "
        "file too, or remove the Slim section if the model is dense"
    )


def with_clear_errors(build_dataloader: Callable[..., DataLoader]) -> Callable[..., DataLoader]:
    """Turn what PaddleClas's data sets raise into a line that names the key, or the file that is not there."""

    def build(config: ClasConfig, mode: str, *args: Any, **kwargs: Any) -> DataLoader:
        try:
            with clear_errors(f"DataLoader.{mode}"):
                return build_dataloader(config, mode, *args, **kwargs)
        except SlimError as error:
            missing = first_missing_image(config.get(mode) or {})
            raise SlimError(f"DataLoader.{mode}: {missing}") if missing is not None else error from error

    return build


def first_missing_image(section: Mapping[str, Any]) -> Optional[str]:
    """Say which image that a list names is not there.

    Args:
        section: ``DataLoader.Train`` or ``.Eval``.
    """
    dataset = section.get("dataset", {})
    listing, root = dataset.get("cls_label_path"), dataset.get("image_root")
    if not isinstance(listing, str) or not isinstance(root, str) or not Path(listing).is_file():
        return None
    lines = Path(listing).read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        words = line.strip().split(dataset.get("delimiter") or " ")
        if words and words[0] and not (Path(root) / words[0]).exists():
            return f"line {number} of {listing} names {words[0]}, which is not in {root}"
    return None
