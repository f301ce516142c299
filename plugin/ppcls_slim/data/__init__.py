"""Data sets that ``DataLoader.*.dataset.name`` accepts through the plugin."""
