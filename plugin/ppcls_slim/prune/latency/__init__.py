"""Latency as a budget: what every layer costs at every width on an engine, and the search for a plan in time."""
