"""Distillation: a model learns from a teacher's outputs while it is trained."""
