"""ONNX's own backend tests of the operators that exist here, as networks: which there are, and what each comes to."""

from __future__ import annotations

KINDS = "node", "pytorch-converted", "pytorch-operator"
OPERATORS = {
    *("AveragePool", "BatchNormalization", "Conv", "Dropout", "Elu", "Flatten", "Gelu", "Gemm", "GlobalAveragePool"),
    *("GlobalMaxPool", "HardSwish", "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "PRelu", "Relu"),
    *("Reshape", "Sigmoid", "Softmax", "Softplus", "Squeeze", "Swish", "Tanh", "Transpose", "Unsqueeze"),
}
