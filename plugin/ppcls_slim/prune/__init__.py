"""Pruning: from a dense model to a plan, and the plan applied."""
