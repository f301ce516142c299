"""Faults of Paddle that are patched on import (``patch``) or for a while (``patched``), one file each.

Each docstring says what goes wrong (Symptom), where (Versions), and when the file can go (Delete when).
"""
