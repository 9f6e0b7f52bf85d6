"""Read pictures of handwritten digits the way the MNIST digits were made.

MNIST's digits are light on dark, were scaled with antialiasing into a box of 20x20 pixels, and placed in a
field of 28x28 with their centre of mass in its middle (LeCun et al. 1998, yann.lecun.com/exdb/mnist). A
network trained on them reads a scan, a photograph or a drawing much better once it has been treated the same.

    opening.py   a file of any kind -> greys
    sheet.py     the sheet, where a picture shows the table, too
    ink.py       greys -> how much ink is where, on whatever page, in whatever light
    parts.py     ink -> the digits, left to right
    whole.py     pictures as they are, for what is no handwriting
    digits.py    a digit -> as MNIST has it

>>> import pymnistcnn as pm
>>> from PIL import Image, ImageDraw
>>> page = Image.new("L", (200, 300), "white")
>>> ImageDraw.Draw(page).line([(90, 50), (110, 250)], fill="black", width=20)
>>> pm.pictures.read_digit(page).shape
(28, 28)
"""

from .digits import read_digit, read_digits
from .whole import SUFFIXES, picture_size, read_picture  # noqa: F401 - two are of folders

__all__ = ["read_digit", "read_digits", "read_picture"]
