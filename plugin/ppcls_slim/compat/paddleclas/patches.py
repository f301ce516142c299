"""Old place of names; goes when nothing imports them from here."""

from ..patching import replaced
from .config import copy_config, read_yaml_config
from .engine import load_engine
from .faults.label_paths import resolve_ppcls_path
from .registry import add_names

__all__ = ["add_names", "copy_config", "load_engine", "read_yaml_config", "replaced", "resolve_ppcls_path"]
