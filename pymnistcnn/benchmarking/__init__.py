"""How fast the kernels and the training are, on this machine, now: `pymnistcnn bench`.

Every figure is a median with its range, and stands beside the peak of fused multiply-adds (FMA) that the same run
measured in turns with it. Rates are dense-equivalent: what a dense convolution would take to compute, over the
time. The sparse gradients, which walk only what max-pooling and ReLU left alive, may so be over 100 %.
"""
