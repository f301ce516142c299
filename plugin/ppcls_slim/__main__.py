"""``python -m ppcls_slim``."""

import sys

from .cli import main

sys.exit(main())
