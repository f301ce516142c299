"""Networks that are drawn at random, and the equivalence check on many of them."""
