"""``python -m ppcls_slim.cli``."""

import sys

from . import main

sys.exit(main())
