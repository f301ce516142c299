"""Schedules that prune while the dense model trains."""
