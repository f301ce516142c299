"""Damage to the text of a YAML file, in its sections ``Global`` and ``Slim``."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from .mutation import flip_bits

END = "Arch:"  # the first section that is not tried


def damage_text(rng: random.Random, file: Path, code: str) -> str:
    """Damage a file; return what was done.

    Args:
        rng: chooses.
        file: a configuration, ``Global`` and ``Slim`` first.
        code: Python source that would show that it was run.
    """
    content = file.read_bytes()
    end = content.index(END.encode())
    name, damage = rng.choice(list(DAMAGES.items()))
    head = damage(rng, content[:end], code)
    file.write_bytes(head if name in WITHOUT_THE_REST else head + content[end:])
    return f"text: {name}"


def _flip(rng: random.Random, head: bytes, code: str) -> bytes:
    return flip_bits(rng, head)


def _truncate(rng: random.Random, head: bytes, code: str) -> bytes:
    return head[: rng.randrange(len(head))]


def _insert(rng: random.Random, head: bytes, code: str) -> bytes:
    at = rng.randrange(len(head))
    odd = [b"\t", b"\xff\xfe", b"\0", b"\xef\xbb\xbf", b": ", b"- ", b"{", b"]", b"&a ", b"*a", b"#", b"'", b"\r\n"]
    return head[:at] + rng.choice(odd) + head[at:]


def _drop_line(rng: random.Random, head: bytes, code: str) -> bytes:
    lines = head.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _repeat_line(rng: random.Random, head: bytes, code: str) -> bytes:
    lines = head.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return b"".join(lines[: at + 1] + lines[at:])


def _indent(rng: random.Random, head: bytes, code: str) -> bytes:
    lines = head.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at] = rng.choice([b" ", b"  ", b"\t"]) + lines[at] if rng.random() < 0.5 else lines[at].lstrip()
    return b"".join(lines)


def _second_section(rng: random.Random, head: bytes, code: str) -> bytes:
    return head + rng.choice([b"Slim:\n  prune:\n    pruned_ratio: 0.5\n", b"Slim:\n", b"Global:\n  epochs: 1\n"])


def _value(rng: random.Random, head: bytes, value: bytes) -> bytes:
    lines = head.splitlines(keepends=True)
    at = rng.choice([number for number, line in enumerate(lines) if b": " in line])
    lines[at] = lines[at].split(b": ")[0] + b": " + value + b"\n"
    return b"".join(lines)


def _tag(rng: random.Random, head: bytes, code: str) -> bytes:
    tags = [
        f'!!python/object/apply:builtins.eval ["{code}"]',
        f"!!python/object/new:os.system [\"python -c '{code}'\"]",
        "!!python/name:os.system",
        "!!binary aGVsbG8=",
        "!!set {a, b}",
        "!!timestamp 2020-01-01",
        "!!float nan",
        "2020-01-01",
        "0o17",
        "1_000",
        "12:30:45",
        "? x",
        "!unknown 3",
    ]
    return _value(rng, head, rng.choice(tags).encode())


def _alias(rng: random.Random, head: bytes, code: str) -> bytes:
    bomb = "[" + ", ".join(f"&x{n} [{', '.join([f'*x{n - 1}'] * 9) if n else '1'}]" for n in range(9)) + "]"
    values = ["&a [*a]", "&a {b: *a}", "*unknown", bomb, "[" * 400 + "]" * 400, "{<<: {epochs: 3}}"]
    return _value(rng, head, rng.choice(values).encode())


def _other_file(rng: random.Random, head: bytes, code: str) -> bytes:
    contents = [
        b"",
        b"\n",
        b"null\n",
        b"3\n",
        b"[]\n",
        b"- Global\n",
        b"\x89PNG\r\n\0",
        b"\xff\xfeG\0",
        b"--- 1\n--- 2\n",
    ]
    return rng.choice(contents)


DAMAGES: dict[str, Callable[[random.Random, bytes, str], bytes]] = {
    "bits flipped": _flip,
    "cut off": _truncate,
    "cut short": _truncate,
    "bytes inserted": _insert,
    "a line is missing": _drop_line,
    "a line stands twice": _repeat_line,
    "a line is indented otherwise": _indent,
    "a second section": _second_section,
    "a tag": _tag,
    "an alias": _alias,
    "another file": _other_file,
}
WITHOUT_THE_REST = ("cut off", "another file")
