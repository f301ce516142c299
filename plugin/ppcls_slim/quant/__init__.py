"""From a float model to one that is trained for int8: PaddleSlim's QAT, mapped from the ``Slim.quant`` section."""
