"""What each command says about itself: in a line, in full, and by an example."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Help:
    """Help of a command.

    Attributes:
        line: for the list of commands.
        text: what it does for pruning and for quantization.
        example: a command line.
    """

    line: str
    text: str
    example: str


HELP = {
    "train": Help(
        "prune or quantize as the Slim section says, and fine-tune",
        "Train as PaddleClas does, with the model of the Slim section. Slim.prune: channels are chosen, removed, and "
        "what is left is fine-tuned; Slim.quant: the weights are calibrated and trained with fake quantizers; with "
        "both it is pruned first. The plan and the scales are saved beside the weights, so that eval, infer and "
        "export need nothing else. Slim.report: the best model is exported and compared with the dense one.",
        "ppcls-slim train -c ppcls_configs/quickstart/digits_prune.yaml -o Slim.prune.pruned_ratio=0.3",
    ),
    "eval": Help(
        "evaluate a checkpoint: dense, pruned or quantized",
        "Measure a checkpoint on DataLoader.Eval. A pruned one is rebuilt from the plan beside it, a quantized one "
        "computes with its fake quantizers; the Slim section may be left out.",
        "ppcls-slim eval -c mine.yaml -o Global.pretrained_model=output/CifarResNet8/best_model",
    ),
    "infer": Help(
        "predict with a trained checkpoint",
        "Predict the images of Infer.infer_imgs with a checkpoint, pruned or quantized (with fake quantizers). With "
        "an exported model: ppcls-slim predict.",
        "ppcls-slim infer -c mine.yaml -o Global.pretrained_model=output/CifarResNet8/best_model",
    ),
    "export": Help(
        "export a checkpoint to its engines, and check the result",
        "Export a checkpoint for every target of Slim.deploy.targets. Of a pruned model the smaller network is "
        "written; a quantized one is converted to int8 with its trained scales. Each export is loaded again and "
        "compared with the trained model (float: outputs; int8: top-1 predictions), moved into place, and "
        "timed against the dense model.",
        "ppcls-slim export -c mine.yaml -o Global.pretrained_model=output/CifarResNet8/best_model",
    ),
    "plan": Help(
        "show what Slim.prune would remove, without training",
        "A dry run of pruning: which channels would be removed, layer by layer, which layers stay and why, and FLOPs "
        "and parameters in total. Nothing is trained or written, except with --json. Quantization has no plan.",
        "ppcls-slim plan -c ppcls_configs/ResNet50_vd_prune.yaml -o Slim.prune.pruned_ratio=0.5",
    ),
    "predict": Help(
        "predict with an exported model through its engine",
        "Predict images with what export wrote; the folder alone is needed. A quantized model runs in int8 where the "
        "machine can, unless --precision says otherwise.",
        "ppcls-slim predict --model-dir inference/digits_prune --images dataset/digits/images/test",
    ),
    "benchmark": Help(
        "measure exported models side by side: latency, size and, given data, accuracy",
        "Time exported models in turns, in one run: dense, pruned and int8, on one engine or several. The latency is "
        "the median, with the 10th and 90th percentile of the runs.",
        "ppcls-slim benchmark inference/dense inference/pruned inference/int8 --batch-size 1 8",
    ),
    "report": Help(
        "draw the page of a run again, or one page of several runs side by side",
        "Draw report.html from the report.json of a run. Of several output folders one page is drawn that compares "
        "them: pruned with quantized, one ratio with another.",
        "ppcls-slim report output/digits_prune output/digits_quant -o comparison.html",
    ),
    "init": Help(
        "write a Slim section for a goal, from what was measured of such backbones",
        "Write a copy of a PaddleClas configuration with a Slim section for its backbone: what to prune and to "
        "quantize, and what to expect, with the source of each figure. --quickstart copies the configurations of the "
        "quickstart.",
        "ppcls-slim init -c mine.yaml --goal fast --engine openvino",
    ),
    "doctor": Help(
        "say before training what will go wrong, or gain nothing",
        "Look at a configuration, its weights and data, this machine and the engine, without training: what pruning "
        "or quantization would stop at, or gain nothing from. The exit status is 1 if there is an error.",
        "ppcls-slim doctor -c mine_fast.yaml",
    ),
    "prepare-cifar10": Help(
        "write CIFAR-10 as the one file that Cifar10Dataset reads",
        "Write CIFAR-10 as the one file that Cifar10Dataset reads, for the configurations in ppcls_configs/cifar10.",
        "ppcls-slim prepare-cifar10 cifar-10-python.tar.gz",
    ),
    "schema": Help(
        "write the JSON Schema of the Slim section, for editors",
        "Write the JSON Schema of the Slim section: editors complete and check its keys with it.",
        "ppcls-slim schema slim.schema.json",
    ),
}


def add_command(commands: Any, name: str) -> argparse.ArgumentParser:
    """Add a command with its help to what ``argparse.add_subparsers`` returned."""
    text = HELP[name]
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text.line, description=text.text, epilog=f"example: {text.example}"
    )
    return command
