"""Writes ``paddle_saves/<version>/``: what this Paddle saves, for ``tests/compat/test_saved_files.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle

TYPES = ("bfloat16", "float16", "int64", "bool")


def main():
    folder = Path(__file__).parent / "paddle_saves" / paddle.__version__
    folder.mkdir(parents=True, exist_ok=True)
    paddle.seed(3)
    model = paddle.nn.Sequential(paddle.nn.Conv2D(1, 2, 3), paddle.nn.BatchNorm2D(2))
    decay = paddle.optimizer.lr.CosineAnnealingDecay(0.1, T_max=10)
    rate = paddle.optimizer.lr.LinearWarmup(decay, 3, 0.0, 0.1)
    optimizer = paddle.optimizer.AdamW(learning_rate=rate, parameters=model.parameters())
    model(paddle.ones([1, 1, 4, 4])).sum().backward()
    optimizer.step()
    rate.step()
    contents = {
        "weights.pdparams": model.state_dict(),
        "state.pdopt": optimizer.state_dict(),
        "list.pdopt": [optimizer.state_dict()],
        "run.pdstates": {"epoch": 3, "metric": 0.5, "top1": np.float64(0.25), "t": paddle.to_tensor([1.5])},
        "types.pdparams": {name: paddle.to_tensor([0.0, 1.0, 3.0]).astype(name) for name in TYPES},
    }
    for name, content in contents.items():
        for protocol in (2, 4):
            paddle.save(content, str(folder / f"protocol{protocol}.{name}"), protocol=protocol)


if __name__ == "__main__":
    main()
