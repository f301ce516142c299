"""From a checkpoint to files that Paddle Inference runs, verified to compute the same."""
