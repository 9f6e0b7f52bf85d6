def quantized(*a): raise NotImplementedError
