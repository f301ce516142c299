"""What was measured, as a Slim section for a backbone, and what to look at before training.

- ``table``: the recipes: a row for a family of backbones, a goal and an engine, with the source of its figures.
- ``section``, ``start``: ``ppcls-slim init``.
- ``quickstart``: the configurations that travel in the wheel.
- ``doctor``: ``ppcls-slim doctor``.
"""
