"""``ParallelEnv`` has no device number on machines without accelerators.

Symptom: ``'ParallelEnv' object has no attribute '_device_id'`` in ``classification_eval`` of PaddleClas develop,
which asks for ``ParallelEnv().device_id`` on a CPU, too.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: Paddle sets it on a CPU, or PaddleClas does not ask for it.
"""

from __future__ import annotations

import paddle


def patch() -> None:
    """Give the class a default."""
    env = paddle.distributed.ParallelEnv
    if not hasattr(env, "_device_id"):
        env._device_id = 0
