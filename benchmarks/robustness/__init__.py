"""Hostile trials: mutated configurations, damaged checkpoints, runs that are killed. See docs/robustness.md."""
