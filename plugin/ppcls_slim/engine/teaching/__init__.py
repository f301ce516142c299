"""``Slim.distill`` in a training: find the teacher, look whether it fits, and let it see the batches."""

from __future__ import annotations

from .checks import check_distillation, learns_from_itself
from .find import find_teacher
from .hook import Lessons, teaching_hooks

__all__ = ["Lessons", "check_distillation", "find_teacher", "learns_from_itself", "teaching_hooks"]
