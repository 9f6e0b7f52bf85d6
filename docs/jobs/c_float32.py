"""Trains a network, writes it as C code in float32, and calls that from Python: the outputs have the same bits."""
# needs: gcc

import ctypes
import subprocess

import numpy as np

import pymnistcnn as pm
from pymnistcnn.recipes import fast

train, test = pm.datasets.mnist()
recipe = fast()
model = recipe.model
model.fit(train[:20_000], epochs=1, batch_size=recipe.batch_size, optimizer=recipe.optimizer, schedule=recipe.schedule,
          progress=False)  # fmt: skip
code = model.to_c("digits.c")
print(f"digits.c needs {code.ram:,} bytes of RAM, and {code.flash:,} of flash beside its code")

subprocess.run("gcc -std=c99 -O2 -shared -fPIC digits.c -o digits.so".split(), check=True)
digits_predict = ctypes.CDLL("./digits.so").digits_predict
pictures = np.ascontiguousarray(test.images[:1000])
outputs = np.empty((len(pictures), 10), np.float32)
for picture, output in zip(pictures, outputs, strict=True):
    digits_predict(picture.ctypes.data_as(ctypes.c_void_p), output.ctypes.data_as(ctypes.c_void_p))

expected = model.predict_outputs(pictures, isa="portable")  # additions and multiplications one by one
same = np.all(outputs.view(np.uint32) == expected.view(np.uint32), axis=1).sum()
print(f"{same:,} of {len(pictures):,} pictures have the same logits, bit by bit")
print(f"accuracy {np.mean(outputs.argmax(axis=1) == test.labels[:1000]):.2%}")
