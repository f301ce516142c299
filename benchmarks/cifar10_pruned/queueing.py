"""Runs that wait, and runs that share the device."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch._dynamo
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.cifar10_repro.cifar10 import Cifar10, load_arrays

from .distillation import LogitTables
from .layout import in_paddle_names, layout_of, wide_layout
from .network import network_of
from .parameters import Parameters, initial_state
from .recipe import Recipe, packs_of, read_runs
from .record import curve_of, record_of, write_json
from .run import Run
from .testing import accuracy

AHEAD = 2
"""Epochs of a run that are queued on the device at a time."""


def set_precision(precision: str) -> None:
    """Allow TF32 in convolutions and products unless full float32 is asked for."""
    allowed = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.benchmark = True


def set_recompile_limits() -> None:
    """Let a function be compiled for as many shapes of blocks as there are."""
    for limit in ("recompile_limit", "accumulated_recompile_limit"):
        setattr(torch._dynamo.config, limit, 1024)


@dataclass
class Started:
    """A run that shares the device: epochs that were queued, and the event behind each."""

    run: Run
    began: float
    queued: int = 0
    events: list[torch.cuda.Event] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Epochs that the device has finished."""
        while self.events and self.events[0].query():
            self.events.pop(0)
        return self.queued - len(self.events)

    def queue_epoch(self) -> None:
        """Queue one more on the run's stream; without a stream it is done at once."""
        with torch.cuda.stream(self.run.stream) if self.run.stream else nullcontext():
            self.run.epoch(self.queued)
            if self.run.stream:
                self.events.append(torch.cuda.Event())
                self.events[-1].record()
        self.queued += 1


class Queue:
    """The runs of the file: which is next, and those that share the device now."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.data = Cifar10(load_arrays(options.data), torch.device(options.device), torch.float32)
        self.tables = LogitTables(options.out, self.data)
        self.active: list[Started] = []
        self.started: set[str] = set()
        self.clock = time.perf_counter()
        self.looked = 0.0

    def say(self, *words: object) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.perf_counter() - self.clock:7.1f} s", *words, flush=True)

    def find(self, stem: str) -> Path | None:
        """Return the weights of this stem: results first, then the folder of weights."""
        for folder in (self.options.out, self.options.weights):
            if (folder / f"{stem}.safetensors").exists():
                return folder / f"{stem}.safetensors"
        return None

    def next(self) -> list[Recipe]:
        """Return the first runs of the file that can start, one or those of a pack; or none."""
        for pack in packs_of(read_runs(self.options.runs)):
            left = [
                r for r in pack if r.name not in self.started and not (self.options.out / f"{r.name}.json").exists()
            ]
            if left and all(self.find(stem) for recipe in left for stem in recipe.needed):
                return left
        return []

    def start(self, recipes: list[Recipe]) -> None:
        """Build the network of some runs and record its graphs."""
        self.started.update(recipe.name for recipe in recipes)
        before = time.perf_counter()
        states = [self.state_of(recipe) for recipe in recipes]
        tables = [self.tables.get(name, lambda name=name: self.forward_of(name)) for name in recipes[0].teacher]
        low, compiled = self.options.precision == "bf16", not self.options.no_compile
        run = Run(recipes, self.data, states, tables, low, compiled)
        if run.stream:
            run.capture()
        began = time.perf_counter()
        self.active.append(Started(run, began))
        macs = ", ".join(f"{layout_of(state).macs() / 1e6:.1f}" for state in states)
        self.say(run.name, f"starts; prepared in {began - before:.1f} s; {macs} M MACs")

    def state_of(self, recipe: Recipe) -> dict[str, Tensor]:
        """Return the weights that a run starts with."""
        if recipe.weights is None:
            return initial_state(wide_layout(recipe.depth, recipe.width), recipe.seed)
        state = in_paddle_names(load_file(self.find(recipe.weights)))
        return initial_state(layout_of(state), recipe.seed) if recipe.random else state

    def work(self) -> None:
        """Train until no run is left, and none came for ``--wait`` seconds."""
        idle_since = spoke = time.perf_counter()
        while True:
            now = time.perf_counter()
            if len(self.active) < self.options.side_by_side and now - self.looked >= 0.5:
                recipes = self.next()
                self.looked = 0.0 if recipes else now
                if recipes:
                    self.start(recipes)
            if self.active:
                idle_since = now
                self.turn()
            elif self.looked and now - idle_since >= self.options.wait:
                return
            else:
                time.sleep(0.1)
            if self.active and now - spoke >= self.options.status_every:
                spoke = now
                self.say(*map(status_of, self.active))

    def turn(self) -> None:
        """Queue an epoch of every run that has few queued, and finish those that are through."""
        busy = True
        for started in list(self.active):
            epochs, done = started.run.recipe.epochs, started.done
            if done == epochs:
                self.finish(started)
            elif started.queued < epochs and started.queued - done < AHEAD:
                started.queue_epoch()
            else:
                continue
            busy = False
        if busy:
            time.sleep(0.002)

    def finish(self, started: Started) -> None:
        """Test the weights to keep in float32 and write what is known about the runs."""
        run, seconds = started.run, time.perf_counter() - started.began
        names = [recipe.name for other in self.active for recipe in other.run.recipes]
        self.active.remove(started)
        self.options.out.mkdir(parents=True, exist_ok=True)
        for index, recipe in enumerate(run.recipes):
            state = run.state_dict(index)
            set_precision("fp32")
            top1 = accuracy(state, self.data)
            set_precision(self.options.precision)
            save_file(state, self.options.out / f"{recipe.name}.safetensors")
            record = record_of(run, index, seconds, names, top1, self.options.precision)
            write_json(record, self.options.out / f"{recipe.name}.json")
            self.say(f"{recipe.name} ends: last {record['last_top1']:.2f}, final {top1:.2f} in float32")
        self.say(f"{run.name}: {seconds / run.recipe.epochs:.2f} s an epoch, with {len(self.active)} networks beside")
        run.graphs.clear()
        self.looked = 0.0

    def forward_of(self, name: str) -> Callable[[Tensor], Tensor]:
        """Return the forward pass of a teacher from normalised images."""
        state = in_paddle_names(load_file(self.find(name)))
        layout, low = layout_of(state), self.options.precision == "bf16"
        device, dtype = self.data.mean.device, self.data.mean.dtype
        parameters = Parameters(layout, 8, device, dtype, low)
        parameters.load(state)
        compiled = not self.options.no_compile
        network = network_of(layout, 8, device, torch.bfloat16 if low else dtype, compiled)
        views = {key: view.detach() for key, view in parameters.leaves.items()}

        def forward(images: Tensor) -> Tensor:
            return network.forward(views, parameters.stats, parameters.widened(images), False)

        return forward


def status_of(started: Started) -> str:
    """Return name, epochs done and the last tests of runs."""
    run, done = started.run, started.done
    tests = []
    for index in range(len(run.recipes)):
        curve = curve_of(run, index)
        columns = [column[:done] for name, column in curve.items() if name != "loss"]
        tested = [i for i in range(done) if columns[0][i] is not None]
        tests += ["/".join(f"{column[i]:.2f}" for column in columns) for i in tested[-1:]]
    loss = f" loss {curve['loss'][done - 1]:.3f}" if done else ""
    return f"| {run.name} {done}/{run.recipe.epochs}{loss} {' '.join(tests)}"
