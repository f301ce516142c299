"""Faults of PaddleClas's releases, one file each; none changes what a release does right.

Each docstring says what goes wrong (Symptom), where (Versions), and when the file can go (Delete when).
"""
