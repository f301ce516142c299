"""Deployment targets: one file each, whose name is the target's."""
