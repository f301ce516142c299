"""ResNets for CIFAR-10 with channels removed by the plugin, trained in PyTorch and measured in Paddle."""
