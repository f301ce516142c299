"""What PaddleClas's engine calls, replaced for the length of a ``with`` block.

Every release looks these functions up in its own modules when it calls them: ``build_model``, ``build_dataloader``
and ``load_dygraph_pretrain`` while the engine is made, ``init_model`` and ``save_model`` while it trains. There are
no hooks for them in 2.4.2 to develop; may go when PaddleClas has some.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ...common.errors import SlimError
from ..paddle import paddle
from ..paddle.saved_files import SavedWeights, paddle_load_restricted
from ..patching import replaced
from .clear_errors import with_key
from .console_log import init_logger
from .engine import load_engine

ppcls_engine: ModuleType = load_engine()

from ppcls.utils import save_load  # noqa: E402  (after PaddleClas was found)

Engine: Any = ppcls_engine.Engine
build_model = ppcls_engine.build_model
build_dataloader = ppcls_engine.build_dataloader
build_loss = with_key(ppcls_engine.build_loss, "Loss")
_save_model = save_load.save_model


@contextmanager
def while_building(
    build_model: Callable[..., Any], build_dataloader: Callable[..., Any], load_pretrained: Callable[..., None]
) -> Iterator[None]:
    """Build models and data loaders, and load ``Global.pretrained_model``, with these functions.

    What else is built from a section gives errors of one line.
    """
    others = {
        "build_loss": "Loss",
        "build_metrics": "Metric",
        "build_optimizer": "Optimizer",
        "build_postprocess": "Infer.PostProcess",
        "create_operators": "Infer.transforms",
    }
    stand_ins = replaced(
        ppcls_engine,
        **{name: with_key(getattr(ppcls_engine, name), key) for name, key in others.items()},
        init_logger=init_logger,
        build_model=build_model,
        build_dataloader=build_dataloader,
        load_dygraph_pretrain=load_pretrained,
        load_dygraph_pretrain_from_url=load_pretrained,
    )
    with stand_ins, paddle_load_restricted():
        yield


@contextmanager
def while_loading_backbones(load_pretrained: Callable[[Any, str], None]) -> Iterator[None]:
    """Load files of ``Arch.pretrained`` with this function, and let whatever else is loaded run no code.

    Releases differ in how a backbone finds its file, or address. All of them end in ``paddle.load`` and ``set_dict``.
    """
    original = paddle.nn.Layer.set_state_dict

    def set_state_dict(layer: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state, SavedWeights):
            return load_pretrained(layer, str(state.path))
        return original(layer, state, *args, **kwargs)

    names = dict.fromkeys(("set_state_dict", "set_dict", "load_dict"), set_state_dict)
    with paddle_load_restricted(), replaced(paddle.nn.Layer, **names):
        yield


@contextmanager
def while_training(save_model: Callable[..., None], init_model: Callable[..., Any]) -> Iterator[None]:
    """Save with ``save_model``, and resume ``Global.checkpoints`` with ``init_model``.

    Raises:
        SlimError: the optimizer misses a state in its first step; nothing tells before which parameters have one.
    """
    with replaced(save_load, save_model=save_model), replaced(ppcls_engine, init_model=init_model):
        try:
            yield
        except AssertionError as error:
            missing = re.match(r"Optimizer set error, (.+) should in state dict", str(error), re.DOTALL)
            if missing is None:
                raise
            raise SlimError(
                f"Global.checkpoints: its .pdopt lacks {missing[1]}, which the optimizer of the configuration needs: "
                "restore the file, or train with the optimizer that it was saved with"
            ) from error


def save_quietly(net: Any, optimizer: Any, metric_info: Any, folder: Path, *args: Any, **kwargs: Any) -> None:
    """Save as PaddleClas does, without its line in the log (it would name a temporary folder)."""
    with replaced(save_load.logger, info=lambda *_: None):
        _save_model(net, optimizer, metric_info, str(folder), *args, **kwargs)


def averages_weights() -> bool:
    """Whether this PaddleClas knows the section ``EMA`` (release/2.5 and later; 2.4.2 does not)."""
    return hasattr(ppcls_engine, "ExponentialMovingAverage")
