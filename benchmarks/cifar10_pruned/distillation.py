"""The loss with a teacher, and the teacher's logits of every image in every crop, computed once for all runs.

Crop and flip know 81 x 2 versions of an image. A teacher in evaluation mode answers each with fixed logits: 50,000 x
162 x 10 in float16 are 162 MB, and cost about as much as 54 epochs of training the teacher. Students then look up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cifar10_repro.cifar10 import PAD, Cifar10

CHUNK = 2500


def loss_of(
    logits: Tensor, labels: Tensor, teachers: Tensor | None, smoothing: float, weight: float, temperature: float
) -> Tensor:
    """Return ``(1 - weight) * CE + weight * T^2 * KL(teacher || student)``, both at temperature ``T``.

    Args:
        logits: ``[n, 10]``, or ``[runs, n, 10]``.
        labels: ``[n]``, or ``[runs, n]``; the loss is a number for each run.
        teachers: ``[..., n, teachers, 10]`` logits; their probabilities at the temperature are averaged.
            None: only CE.
        smoothing: of the labels in CE.
        weight: of the teacher.
        temperature: of the softmax (Hinton et al., arXiv:1503.02531).
    """
    every = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none", label_smoothing=smoothing)
    hard = every.view(labels.shape).mean(dim=-1)
    if teachers is None:
        return hard
    target = F.softmax(teachers.to(logits.dtype) / temperature, dim=-1).mean(dim=-2)
    student = F.log_softmax(logits / temperature, dim=-1)
    soft = F.kl_div(student, target, reduction="none").sum(dim=-1).mean(dim=-1)
    return (1 - weight) * hard + weight * temperature**2 * soft


compiled_loss_of = torch.compile(loss_of, dynamic=False)


class LogitTables:
    """Logits of teachers, ``[images, rows, columns, 2, 10]`` in float16, kept on the device and in a folder."""

    def __init__(self, folder: Path, data: Cifar10) -> None:
        self.folder, self.data = folder, data
        self.tables: dict[str, Tensor] = {}

    def get(self, name: str, forward: Callable[[], Callable[[Tensor], Tensor]]) -> Tensor:
        """Return a teacher's table; ``forward()`` makes its forward pass from normalised images, if it is needed.

        Of processes that share the folder, one computes it and the others wait.
        """
        file = self.folder / f"{name}.logits.pt"
        if name not in self.tables and not file.exists() and self.claimed(name):
            self.tables[name] = logit_table(self.data, forward())
            torch.save(self.tables[name], file.with_suffix(".part"))
            file.with_suffix(".part").rename(file)
        while name not in self.tables:
            if file.exists():
                self.tables[name] = torch.load(file, map_location=self.data.mean.device)
            else:
                time.sleep(0.2)
        return self.tables[name]

    def claimed(self, name: str) -> bool:
        """Whether this process is the first to ask for a table."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            (self.folder / f"{name}.logits.claim").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@torch.no_grad()
def logit_table(data: Cifar10, forward: Callable[[Tensor], Tensor]) -> Tensor:
    """Return logits float16 ``[n, 9, 9, 2, 10]`` of all training images: by first row, first column and flip."""
    count, shifts = len(data.train_labels), 2 * PAD + 1
    table = torch.empty(count, shifts, shifts, 2, 10, dtype=torch.float16, device=data.mean.device)
    for start in range(0, count, CHUNK):
        padded = data.train_images[start : start + CHUNK]
        for row in range(shifts):
            for column in range(shifts):
                images = padded[:, row : row + 32, column : column + 32]
                for flipped, turned in enumerate((images, images.flip(2))):
                    logits = forward(data.normalise(turned))
                    table[start : start + CHUNK, row, column, flipped] = logits.to(torch.float16)
    return table


def looked_up(tables: list[Tensor], index: Tensor, shift: Tensor, flip: Tensor) -> Tensor | None:
    """Return ``[n, teachers, 10]`` for a batch as :meth:`Cifar10.batch` draws it; None without teachers."""
    if not tables:
        return None
    return torch.stack([table[index, shift[:, 0], shift[:, 1], flip.long()] for table in tables], dim=1)
