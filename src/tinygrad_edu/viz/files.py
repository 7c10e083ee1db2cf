"""Pictures as files: PNG (and what else Pillow reads) to arrays, arrays to PNG. Pillow comes with
matplotlib, with the extra `viz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import plain_array
from ..errors import ArgumentError, DataError, DtypeError, ShapeError, UnavailableError
from ..serialization import replacing


def read_image(path: str | Path) -> np.ndarray:
    """The picture in a file: float32 (H, W) for a grey one, (H, W, 3) for colour, in 0 to 1.

    Transparency is dropped. Raises FileNotFoundError (and other OSErrors) where the file cannot be
    read, DataError for one that holds no picture or a damaged one, ImportError without Pillow.
    """
    pillow = _pillow()
    with open(path, "rb") as file:
        try:
            with pillow.open(file) as picture:
                deep = picture.mode.startswith("I")  # 16 bits
                grey = deep or picture.mode in ("1", "L", "LA")
                array = np.asarray(picture if deep else picture.convert("L" if grey else "RGB"))
        except (pillow.UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            why = "" if isinstance(error, pillow.UnidentifiedImageError) else f" ({error})"
            raise DataError(
                f"read_image: {path} is not a picture that can be read{why}: expected a PNG file."
            ) from None
    return (array / (65535 if deep else 255)).astype(np.float32)


def save_image(path: str | Path, image: Any) -> None:
    """Write a picture as PNG, eight bits a channel; values outside of 0 to 1 are cut off.

    image: floats (H, W), or (H, W, 3) for colour. Raises ShapeError and DtypeError for others,
    ValueError for NaN or a name that does not end in .png, OSError where it cannot be written,
    ImportError without Pillow. What was there is replaced once the new file is whole.
    """
    array = plain_array(image)
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or not array.size:
        raise ShapeError(
            f"save_image: image has shape {array.shape}: expected (H, W) or (H, W, 3).",
            code="unexpected-shape",
        )
    if array.dtype.kind != "f":
        raise DtypeError(f"save_image: image is {array.dtype}: expected floats in 0 to 1.")
    if np.isnan(array).any():
        raise ArgumentError("save_image: image holds NaN.")
    if Path(path).suffix.lower() != ".png":
        raise ArgumentError(f"save_image: {path}: expected a name that ends in .png.")
    bytes_ = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    picture = _pillow().fromarray(bytes_)
    with replacing(path) as file:
        picture.save(file, format="PNG")


def _pillow() -> Any:
    """Pillow's Image, or one sentence that says how to get it (ImportError)."""
    try:
        from PIL import Image
    except ImportError:
        raise UnavailableError(
            "picture files are read and written with Pillow, which is not installed: pip install "
            '"tinygrad-edu[viz]" (or: pip install pillow).'
        ) from None
    return Image
