"""Mutated ``Slim`` sections, ``Global`` values and ``-o`` overrides."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import yaml

from ppcls_slim.cli import main

from .child import in_fork, in_process, judge
from .expected import MeaninglessError, difference, what_is_written
from .mutation import SHOWN, misspelt, mutate, odd_value, paths
from .outcome import REFUSED, RIGHT, WRONG, Verdict
from .reached import Understood, understood_in, up_to_the_model
from .runs import undisturbed
from .settings import doubtful
from .text import damage_text
from .workload import ROOT, SECTIONS, Workload, prefix_of, write_config

COMMANDS = ("train", "train", "train", "plan", "eval", "export")
TO_THE_END, AS_A_USER = 0.08, 0.01  # shares of the cases that are run whole, and in a new interpreter
SCRIPTS = {"plan": "slim_plan", "export": "export_model"}
LARGEST_RUN = 3  # epochs; more of them are a valid wish, which this campaign has no time for


@dataclass(frozen=True)
class Tried:
    """One mutated configuration.

    Attributes:
        scenario: that it was made from.
        command: ``train``, ``plan``, ...
        file: the YAML file.
        overrides: after ``-o``.
        what: was done to it.
    """

    scenario: str
    command: str
    file: Path
    overrides: Sequence[str]
    what: str

    @property
    def arguments(self) -> list[str]:
        """Of ``ppcls-slim``."""
        return [self.command, "-c", str(self.file), *(part for one in self.overrides for part in ("-o", one))]


def make(workload: Workload) -> Callable[[int, Path], tuple[str, Verdict]]:
    """Train every scenario, for the commands that need a checkpoint; see :data:`.campaign.KINDS`."""
    scenarios = workload.among(list(SECTIONS))
    trained = {scenario: str(prefix_of(undisturbed(workload, scenario), "latest")) for scenario in scenarios}

    def run(seed: int, folder: Path) -> tuple[str, Verdict]:
        rng = random.Random(f"configurations:{seed}")
        tried = mutated(rng, workload, trained, folder)
        return tried.what, _verdict(rng, tried, folder)

    return run


def mutated(rng: random.Random, workload: Workload, trained: Mapping[str, str], folder: Path) -> Tried:
    """Write one mutated configuration.

    Args:
        rng: chooses everything.
        workload: of the campaign.
        trained: scenario -> checkpoint, for the commands that need one.
        folder: for the file.
    """
    scenario, command = rng.choice(list(trained)), rng.choice(COMMANDS)
    config = workload.config(scenario, folder)
    if command in ("eval", "export"):
        config["Global"]["pretrained_model"] = trained[scenario]
    code = "open('executed', 'w').close()"  # in the working directory, which is the folder
    overrides: list[str] = []
    how = rng.choice(["Slim", "Slim", "Slim", "Global", "Global", "name", "override", "override", "text"])
    if how == "Slim" and "Slim" not in config:
        how = "name"
    if how in ("Slim", "Global"):
        parts = [mutate(rng, config, code, (how,)) for _ in range(rng.choice([1, 1, 1, 2]))]
        what = "; ".join(parts)
    elif how == "name":
        what = _rename_section(rng, config, code)
    elif how == "override":
        overrides = [_override(rng, config, code) for _ in range(rng.choice([1, 1, 2]))]
        what = f"-o {' -o '.join(overrides)}"[:SHOWN]
    else:
        what = "text"
    file = write_config(folder / "config.yaml", config)
    if how == "text":
        what = damage_text(rng, file, code)
    return Tried(scenario, command, file, overrides, f"{command} {scenario}: {what}")


def _rename_section(rng: random.Random, config: dict[str, Any], code: str) -> str:
    how = rng.choice(["misspelt", "value", "both"])
    section = config.setdefault("Slim", {"prune": {"pruned_ratio": 0.5}})
    if how == "value":
        config["Slim"] = odd_value(rng, code)
        return f"Slim := {config['Slim']!r}"[:SHOWN]
    name = misspelt(rng, "Slim")
    items = [("Slim", section), (name, section)] if how == "both" else [(name, section)]
    others = list(config.items())
    config.clear()
    config.update([*items, *(item for item in others if item[0] != "Slim")])
    return f"section {name!r} {'beside' if how == 'both' else 'instead of'} Slim"


def _override(rng: random.Random, config: dict[str, Any], code: str) -> str:
    places = [path for top in ("Global", "Slim") for path in paths(config.get(top, {}), (top,))]
    path = [str(key) for key in rng.choice(places)]
    how = rng.choice(["value", "value", "value", "value", "key", "deeper", "form"])
    value = code if rng.random() < 0.15 else odd_value(rng, code)
    flow = yaml.safe_dump(value, default_flow_style=True).split("\n...")[0].strip()
    text = value if isinstance(value, str) else flow
    if how == "key":
        at = rng.randrange(len(path))
        path[at] = misspelt(rng, path[at])
    elif how == "deeper":
        path.append(rng.choice(["x", "0", "-1", "prune", ""]))
    elif how == "form":
        name = ".".join(path)
        return rng.choice(
            [name, f"={text}", f"{name}==1", f"{name}=a=b", f".{name}=1", f"{name}.=1", f"{name} = 1", ""]
        )
    return f"{'.'.join(path)}={text}".replace("\0", "\\0")


def _verdict(rng: random.Random, tried: Tried, folder: Path) -> Verdict:
    told, marker = folder / "understood", folder / "executed"
    as_a_user, to_the_end = rng.random() < AS_A_USER, rng.random() < TO_THE_END
    verdict = judge(in_fork(lambda: up_to_the_model(tried.arguments, told), folder), marker)
    understood = understood_in(told)
    if verdict.result == RIGHT:
        wrong = _misunderstood(tried, understood)
        if wrong or understood is None:
            return Verdict(WRONG, wrong or "it ended well, without a model")
        if _is_long(understood):
            return verdict
        to_the_end = to_the_end or bool(doubtful(understood.settings))
    elif not (verdict.result == REFUSED and as_a_user):
        return verdict
    if as_a_user and not any("\0" in str(part) for part in tried.arguments):  # no shell passes that on
        script = ROOT / "tools" / f"{SCRIPTS.get(tried.command, tried.command)}.py"
        ended = in_process([sys.executable, script, *tried.arguments[1:]], folder)
    elif to_the_end:
        ended = in_fork(lambda: main(tried.arguments), folder)
    else:
        return verdict
    verdict = judge(ended, marker)
    wrong = _untrue(understood, folder) if verdict.result == RIGHT and tried.command == "train" else None
    return Verdict(WRONG, wrong) if wrong else verdict


def _misunderstood(tried: Tried, understood: Optional[Understood]) -> Optional[str]:
    try:
        written = what_is_written(tried.file, tried.overrides)
    except MeaninglessError as error:
        return str(error)
    return difference(written, understood.slim if understood is not None else None)


def _is_long(understood: Understood) -> bool:
    """Whether it is a valid wish that this campaign has no time for."""
    slim = understood.slim or {}
    numbers = [understood.settings.get("epochs"), (slim.get("quant") or {}).get("epochs")]
    return any(isinstance(number, int) and number > LARGEST_RUN for number in numbers)


def _untrue(understood: Optional[Understood], folder: Path) -> Optional[str]:
    """What a training that ended well has not done."""
    if understood is None:
        return "a user's command ended well, and the same in this process was refused"
    where = understood.settings.get("output_dir")
    epochs = ((understood.slim or {}).get("quant") or {}).get("epochs") or understood.settings.get("epochs")
    saved = list((folder / str(where)).glob("**/*.pdparams"))
    if not saved:
        return f"it trained {epochs!r} epochs and saved nothing in {where!r}"
    name = "latest" if epochs else "best_model"
    return None if any(file.stem == name for file in saved) else f"it saved no {name}"
