"""Post-training quantization of the CIFAR ResNets: observers side by side, and NNCF from the same images."""
