"""NumPy float64 references of what the plugin computes, for tests only: short, slow, obviously right."""
