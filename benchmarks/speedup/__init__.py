"""Is a speed-up that was asked for met? Backbones of PaddleClas with random weights, on engines of this machine."""
