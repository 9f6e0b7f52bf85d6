"""Trains a network that fits a microcontroller, writes it as C code in int8, and runs that with test pictures."""

import shutil
import subprocess

import pymnistcnn as pm

train, test = pm.datasets.mnist()
model = pm.Sequential(
    [
        *(pm.Rescaling(1 / 255), pm.Conv2d(8, 3), pm.ReLU(), pm.MaxPool2d(2)),
        *(pm.Conv2d(12, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(10)),
    ],
    input_shape=(1, 28, 28),
)
model.fit(train[:20_000], epochs=2, optimizer=pm.Adam(), schedule=pm.OneCycle(0.01), progress=False)

# The scales of whole numbers are measured on training pictures; 100 test pictures go into the file, to be compared.
code = model.to_c("digits.c", int8=True, calibration=train[:1000], test=test[:100])
print(f"digits.c needs {code.ram:,} bytes of RAM, and {code.flash:,} of flash beside its code")
print(f"test accuracy {code.score(test.images, test.labels):.2%}, in float32 {model.evaluate(test).accuracy:.2%}")

# On a board, call digits_predict(picture, scores). Here its main compares the test pictures' scores.
for compiler, machine in (("gcc", []), ("arm-linux-gnueabihf-gcc", ["qemu-arm"])):
    if all(shutil.which(program) for program in (compiler, *machine)):
        subprocess.run([compiler, "-std=c99", "-O2", "-static", "digits.c", "-o", "digits"], check=True)
        subprocess.run([*machine, "./digits"], check=True)  # it exits with the number of pictures that differ
        print(f"by {compiler}: all 100 pictures have the same scores, bit by bit")
