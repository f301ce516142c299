"""The papers' formulas in NumPy float64: short and slow, for whoever validates an implementation against them."""
