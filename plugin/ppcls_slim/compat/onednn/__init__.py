"""oneDNN in Paddle Inference: one file per fault."""
