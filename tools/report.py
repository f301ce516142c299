"""report: see `python tools/report.py --help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugin"))

from ppcls_slim.cli import script

if __name__ == "__main__":
    script("report")
