"""Faults of PaddleSlim's last release on newer packages, one file each.

Each docstring says what goes wrong (Symptom), where (Versions), and when the file can go (Delete when).
"""
