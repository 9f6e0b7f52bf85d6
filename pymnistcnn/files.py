"""Our files: named arrays and a description of them, one key of sorted JSON, in the safetensors format.

A file is a function of what is in it: no times, no names of machines. It is written whole or not at all.
"""

from __future__ import annotations

import errno
import json
import os
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

from ._types import Array, StrPath
from .checks import checked_path, names_in
from .datasets import atomic_write

FORMAT = 1
METADATA_KEY = "pymnistcnn"


def write(path: StrPath, description: dict[str, Any], arrays: dict[str, np.ndarray], model: Any) -> None:
    """Write arrays, and what JSON can say of them. An OSError has the `model` that they are of."""
    from safetensors import SafetensorError
    from safetensors.numpy import save as to_bytes

    refuse_names_of_others(path)
    try:
        metadata = {METADATA_KEY: json.dumps(description, sort_keys=True, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise ValueError(f"JSON cannot say the settings or the notes of this model: {error}") from None
    try:
        content = to_bytes({name: np.array(array, order="C") for name, array in arrays.items()}, metadata)
    except SafetensorError as error:
        raise ValueError(f"the settings or the notes of this model do not fit a safetensors file: {error}") from None
    try:
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        error.model = model  # so that whoever catches it can save it elsewhere
        raise


def read(path: StrPath) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description and the arrays; a ValueError that names the file if it is damaged or not one of ours."""
    arrays, metadata = arrays_of(path)
    if METADATA_KEY not in metadata:
        raise ValueError(f"{path}: a safetensors file, but without the architecture that pymnistcnn saves")
    try:
        description = json.loads(metadata[METADATA_KEY], parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its description is not JSON: {brief(error)}") from None
    if not isinstance(description, dict):
        raise ValueError(f"{path}: its description must be a JSON object, not {type(description).__name__}")
    return description, arrays


OTHER_FORMATS = {
    ".onnx": "an ONNX file: pm.from_onnx reads it",
    ".keras": "a Keras file: model.export('model.onnx', format='onnx') in Keras makes ONNX of it, for pm.from_onnx",
    ".pt": "a PyTorch file: load it with torch.load, for pm.from_torch or load_state_dict",
}
OTHER_FORMATS |= {".h5": OTHER_FORMATS[".keras"], ".hdf5": OTHER_FORMATS[".keras"], ".pth": OTHER_FORMATS[".pt"]}
OTHER_FORMATS |= {".safetensors": "a safetensors file: pm.load reads it"}


def refuse_other_formats(path: StrPath, reader: str = ".safetensors") -> None:
    """ValueError for a file that, by its name, is of a format that has another way in."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in OTHER_FORMATS and suffix != reader:
        raise ValueError(f"{path} is {OTHER_FORMATS[suffix]}")


def refuse_names_of_others(path: StrPath) -> None:
    """ValueError for a name that says another format than that of the files that are written here."""
    stem, suffix = os.path.splitext(checked_path("path", path))
    if suffix.lower() in OTHER_FORMATS and suffix.lower() != ".safetensors":
        other = "; model.to_onnx writes ONNX" * (suffix.lower() == ".onnx")
        raise ValueError(f"{path}: a model is saved as a safetensors file, such as {stem}.safetensors{other}")


def arrays_of(path: StrPath) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays by name, and the metadata, of any safetensors file; a ValueError that names it if it is damaged."""
    from safetensors import SafetensorError, safe_open

    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    refuse_other_formats(path)
    os.stat(path)  # of a file that is not there it tells more than safetensors does
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            narrow = {name for name in file.keys() if file.get_slice(name).get_dtype() == "BF16"}
            arrays = {name: file.get_tensor(name) for name in file.keys() if name not in narrow}
        arrays |= of_bfloat16(path, narrow) if narrow else {}
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({brief(error)})") from None
    return arrays, metadata


def of_bfloat16(path: StrPath, names: set[Any]) -> dict[str, np.ndarray]:
    """As float32, the arrays of a file that NumPy has no type for."""
    from safetensors import deserialize

    with open(path, "rb") as file:
        tensors = dict(deserialize(file.read()))
    bits = {name: np.frombuffer(tensors[name]["data"], "<u2").reshape(tensors[name]["shape"]) for name in names}
    return {name: float_of_bfloat16(array) for name, array in bits.items()}


def float_of_bfloat16(bits: Array) -> np.ndarray:
    """float32 of the bits of bfloat16, which are its upper half."""
    return (np.asarray(bits, np.uint32) << 16).view(np.float32)


def brief(error: Any) -> str:
    """What somebody else's error says, in a line."""
    return textwrap.shorten(str(error), 300, placeholder=" ...")


def no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def without_prefix(arrays: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """By these names, arrays whose names all have one prefix more, such as "module." or "net."; others as they are."""
    parts = str(next(iter(arrays), "")).split(".")
    for prefix in (".".join(parts[:n]) + "." for n in range(1, len(parts))):
        cut = {str(name).removeprefix(prefix): array for name, array in arrays.items()}
        if len(cut) == len(arrays) and cut.keys() == set(names) and all(str(n).startswith(prefix) for n in arrays):
            return cut
    return arrays


def check_shapes(expected: dict[str, tuple[int, ...]], arrays: dict[Any, Any] | dict[str, Array]) -> None:
    """ValueError unless the arrays have the names and shapes that are expected."""
    if set(expected) != set(arrays):
        missing, extra = sorted(set(expected) - set(arrays)), sorted(set(arrays) - set(expected), key=str)
        parts = [
            f"{what} {names_in(names)}" for what, names in (("missing", missing), ("not expected", extra)) if names
        ]
        raise ValueError(f"the weights do not fit this network: {'; '.join(parts)}")
    for name, shape in expected.items():
        if np.shape(arrays[name]) != shape:
            raise ValueError(f"{name} must have shape {shape}, not {np.shape(arrays[name])}")
