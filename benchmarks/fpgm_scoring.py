"""FPGM scoring and pruning: ours against PaddleSlim's ``prune_vars``, in one run.

    python benchmarks/fpgm_scoring.py [--arch ResNet50_vd] [--ratio 0.3] [--weights file.pdparams]

Both start from a model that has been analysed (each by its own analysis, timed separately), score every
convolution with the same weights, choose and cut. Prints both times, the ratio, and whether the same
filters were kept in every parameter.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugin"))

from ppcls_slim.checkpoint import load_exactly, load_file
from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleclas.find import find_ppcls
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.plan import apply_plan
from ppcls_slim.prune.planning import plan_from

REPEATS = 3  # of our scoring: threads of the matrix product suffer from whatever else the machine does


def main() -> int:
    """Run both and print the comparison; exit status 1 if they keep different filters."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="ResNet50_vd", help="a backbone of PaddleClas")
    parser.add_argument("--ratio", type=float, default=0.3, help="on every convolution")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--weights", help="dense weights; random ones otherwise")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    shape = [3, arguments.image_size, arguments.image_size]

    theirs, ours = two_equal_models(arguments)
    slim = paddleslim_prune(theirs, shape, arguments.ratio)
    mine = our_prune(ours, shape, arguments.ratio)
    different = different_parameters(theirs, ours)
    figures = {
        "arch": arguments.arch,
        "ratio": arguments.ratio,
        "paddle": paddle.__version__,
        "paddleslim_analysis_s": round(slim[0], 3),
        "paddleslim_prune_vars_s": round(slim[1], 3),
        "ours_analysis_s": round(mine[0], 3),
        "ours_score_and_cut_s": round(mine[1], 3),
        "times_faster": round(slim[1] / mine[1], 1),
        "parameters_compared": len(ours.state_dict()),
        "parameters_that_differ": different,
    }
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if different else 0


def two_equal_models(arguments: argparse.Namespace) -> list[paddle.nn.Layer]:
    find_ppcls()
    from ppcls.arch import backbone  # found after find_ppcls()

    models = []
    for _ in range(2):
        model = getattr(backbone, arguments.arch)()
        if arguments.weights:
            load_exactly(model, load_file(Path(arguments.weights)), Path(arguments.weights))
        elif models:
            model.set_state_dict(models[0].state_dict())
        model.eval()
        models.append(model)
    return models


def paddleslim_prune(model: paddle.nn.Layer, shape: list[int], ratio: float) -> tuple[float, float]:
    paddleslim = load_paddleslim()
    logging.disable(logging.WARNING)  # a line a layer; each of its modules has a logger of its own
    with legacy_ir():
        start = time.perf_counter()
        pruner = paddleslim.dygraph.FPGMFilterPruner(model, [1, *shape])
        analysed = time.perf_counter()
        convolutions = [layer.weight.name for layer in model.sublayers() if isinstance(layer, paddle.nn.Conv2D)]
        pruner.prune_vars(dict.fromkeys(convolutions, ratio), 0)
        return analysed - start, time.perf_counter() - analysed


def our_prune(model: paddle.nn.Layer, shape: list[int], ratio: float) -> tuple[float, float]:
    config = PruneConfig(name="fpgm", pruned_ratio=ratio, align=1)
    start = time.perf_counter()
    analysis = analyse_model(model, config, shape)
    analysed = time.perf_counter()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        plan = plan_from(analysis, model, config, "cpu")
        times.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    apply_plan(plan, model)
    return analysed - start, statistics.median(times) + time.perf_counter() - begin


def different_parameters(theirs: paddle.nn.Layer, ours: paddle.nn.Layer) -> list[str]:
    """Names of parameters whose values differ after pruning (a ``_backup`` is not a parameter of the model)."""
    left, right = theirs.state_dict(), ours.state_dict()
    return [
        name
        for name, value in right.items()
        if tuple(value.shape) != tuple(left[name].shape) or not bool((value == left[name]).all())
    ]


if __name__ == "__main__":
    sys.exit(main())
