"""``Global.checkpoints: auto``: go on with the training whose checkpoints lie in ``Global.output_dir``."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from .. import checkpoint as checkpoints
from ..common.errors import SlimError
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddleclas.types import ClasConfig
from .progress import LATEST, STATE
from .training_states import states_beside

AUTO = "auto"


def is_auto(config: ClasConfig) -> bool:
    """Whether a training looks for its checkpoint itself."""
    return bool(config["Global"].get("checkpoints") == AUTO)


def latest_checkpoint(config: ClasConfig) -> Optional[Path]:
    """Path prefix of the checkpoint that a training of one stage goes on with; None where it has saved none.

    The first process looks, and tells the others.

    Raises:
        SlimError: others lie there, but not the latest.
    """
    found = broadcast_from_rank0(lambda: str(_latest_in(config) or ""))
    return Path(found) if found else None


def same_training(one: Path, other: Path) -> bool:
    """Whether two checkpoints belong to stages of one training; those of older versions do not say, and do."""
    names = [(states_beside(path_prefix).get(STATE) or {}).get("training") for path_prefix in (one, other)]
    return None in names or names[0] == names[1]


def resolve(config: ClasConfig) -> Optional[str]:
    """Put the checkpoint that is found, or None, in the place of ``auto``; return what to tell the user.

    Raises:
        SlimError: see :func:`latest_checkpoint`.
    """
    if not is_auto(config):
        return None
    found = latest_checkpoint(config)
    config["Global"]["checkpoints"] = str(found) if found is not None else None
    if found is not None:
        return f"Global.checkpoints is auto: going on with {found}"
    return f"Global.checkpoints is auto, and {config['Global']['output_dir']} has no checkpoint yet: starting anew"


def _latest_in(config: ClasConfig) -> Optional[Path]:
    output = Path(config["Global"]["output_dir"])
    checkpoints.finish_interrupted(output)
    folders = (output / str(config["Arch"]["name"]), output)  # releases of PaddleClas differ in this folder
    for folder in folders:
        if any(folder.glob(f"{LATEST}.*")):  # where the weights alone are missing, opening it says so
            return folder / LATEST
    for folder in folders:
        numbers = [path.name[len("epoch_") : -len(checkpoints.WEIGHTS)] for path in folder.glob("epoch_*.pdparams")]
        last = max((int(number) for number in numbers if number.isdigit()), default=0)
        if last > 1:  # the first epoch's file is written before the first "latest"
            raise SlimError(
                f"Global.checkpoints: auto goes on with {folder / LATEST}, which is not there, and epoch_{last} is: "
                f"name it (-o Global.checkpoints={folder / f'epoch_{last}'}), or empty the folder to start anew"
            )
    return None
