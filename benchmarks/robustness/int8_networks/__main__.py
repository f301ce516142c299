"""``python -m benchmarks.robustness.int8_networks SEED COUNT [SECONDS]``: print the networks that part."""

from __future__ import annotations

import sys

from .draw import draw
from .search import findings

if __name__ == "__main__":
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    for finding in findings(draw(seed, count), float(sys.argv[3]) if len(sys.argv) > 3 else None):
        print(finding, flush=True)
