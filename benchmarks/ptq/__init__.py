"""Post-training quantization of trained networks: observers side by side, and NNCF from the same images."""
