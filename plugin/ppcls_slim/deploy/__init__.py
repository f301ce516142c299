"""From a checkpoint to files that Paddle Inference runs, and the proof that they compute the same."""
