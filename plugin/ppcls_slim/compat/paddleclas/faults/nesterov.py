"""``Optimizer`` with ``name: Momentum`` does not take ``use_nesterov``, which CIFAR-10 recipes of the papers need.

Symptom: ``__init__() got an unexpected keyword argument 'use_nesterov'``.
Versions: PaddleClas 2.4.2; release/2.5 and develop pass the key on.
Delete when: the 2.4.2 wheel is not supported any more.
"""

from __future__ import annotations

import inspect
from typing import Any


def patch() -> None:
    """Replace ``Momentum`` of ``ppcls.optimizer`` by one that takes the key."""
    from ppcls.optimizer import optimizer  # after find_ppcls

    plain = optimizer.Momentum
    if "use_nesterov" in inspect.signature(plain.__init__).parameters:
        return

    class Momentum(plain):  # type: ignore[misc,valid-type]
        def __init__(self, *args: Any, use_nesterov: bool = False, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self.use_nesterov = use_nesterov

        def __call__(self, model_list: Any) -> Any:
            built = super().__call__(model_list)
            built._use_nesterov = self.use_nesterov
            return built

    optimizer.Momentum = Momentum
