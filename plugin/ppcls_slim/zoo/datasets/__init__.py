"""Data sets that ``DataLoader.*.dataset.name`` accepts through the plugin."""

ON_DEMAND = {"DigitsDataset"}
"""Data sets that write their files when they are first used."""
