"""How fast the kernels and the training are, on this machine, now: `pymnistcnn bench`.

    measuring.py   medians, the FMA peak, tables
    networks.py    what is trained; kernels.py, training.py, serving.py, data.py: the benchmarks, a row each
    accuracy.py    how well recipes learn, on what protocol.py says; robustness.py: on pictures of variations.py;
                   runs.py: going on where such a benchmark was stopped
    workers.py     processes that are measured, in turns; worker.py is ours
    peers.py       other libraries; comparing.py: ours beside them
    targets.py     what is to be reached; report.py: all of it as Markdown or JSON

Every figure is a median with its range, and stands beside the peak of fused multiply-adds (FMA) that the same run
measured in turns with it. Rates are dense-equivalent: what a dense convolution would take to compute, over the
time. The sparse gradients, which walk only what max-pooling and ReLU left alive, may so be over 100 %.
"""
