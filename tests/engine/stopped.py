"""Sections ``Slim`` whose trainings are stopped and resumed, and how their results are compared."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from ppcls_slim.compat.paddle import paddle

PRUNE = {"name": "fpgm", "pruned_ratio": 0.5}
MASKED = {**PRUNE, "schedule": {"name": "masked"}}
QUANT = {"name": "pact", "calibration_batches": 1}
TWO_STAGES = {"prune": MASKED, "quant": {**QUANT, "epochs": 2, "learning_rate": 0.001}}


@contextmanager
def stopped_at(monkeypatch, stage, epoch):
    """Interrupt trainings in front of an epoch of one of their stages, or, with None, before the stage trains.

    Stages are counted from 1.
    """
    from ppcls_slim.engine.engine import SlimEngine  # after PaddleClas was found
    from ppcls_slim.engine.hooks import Seeding

    trained, before_epoch, train = [], Seeding.before_epoch, SlimEngine.train

    def counted(engine):
        trained.append(engine)
        if epoch is None and len(trained) == stage:
            raise KeyboardInterrupt
        train(engine)

    def interrupted(hook, model, number):
        if (len(trained), number) == (stage, epoch):
            raise KeyboardInterrupt
        before_epoch(hook, model, number)

    with monkeypatch.context() as patched:
        patched.setattr(SlimEngine, "train", counted)
        patched.setattr(Seeding, "before_epoch", interrupted)
        yield


def weights(folder):
    """Relative path -> name -> value, of every checkpoint below a folder."""
    return {
        str(path.relative_to(folder)): {name: value.numpy() for name, value in paddle.load(str(path)).items()}
        for path in sorted(folder.rglob("*.pdparams"))
    }


def assert_same_weights(found, expected):
    assert found.keys() == expected.keys()
    for file, tensors in expected.items():
        assert found[file].keys() == tensors.keys()
        for name, value in tensors.items():
            np.testing.assert_array_equal(found[file][name], value, err_msg=f"{file}: {name}")
