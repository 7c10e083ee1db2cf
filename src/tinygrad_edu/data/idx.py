"""Reading IDX, the format of the MNIST files: a big-endian header, then the numbers, no more.

        byte 0  1   2      3      4..7     8..11  ...
        +-----+---+------+------+--------+------+-----+------------------+
        |  0    0 | type | dims | size 0 | size 1 ... | size 0 * size 1 ...  numbers
        +-----+---+------+------+--------+------+-----+------------------+

The invariant: what is returned is exactly what the header announces, and the file holds exactly
that. A file that is shorter, longer, damaged, or something else is refused by name: a network
trains happily on half the labels, and nothing but its accuracy would tell. Gzip is told by its own
first bytes, not by the suffix, since browsers unpack downloads without renaming them. Source: Y.
LeCun, C. Cortes, C. Burges, "The MNIST database" (file formats).
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_KINDS = {1: "labels (one dimension)", 3: "images (three dimensions)"}
_CHUNK = 1 << 20


def read_idx(path: str | Path, *, dimensions: int | None = None) -> np.ndarray:
    """The array in an IDX file, gzipped or not, in native byte order.

    dimensions: when given, the file must hold unsigned bytes in so many dimensions (3 images, 1
    labels), as the files of MNIST and its kin do. Raises DataError, naming the file, what came and
    what was expected, for anything else than one whole IDX array; OSError when the file cannot be
    opened.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            return _parse(_unpacked(raw) if packed else raw, path, dimensions)
    except (EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip data are cut short or damaged ({error}). Fetch the file again."
        ) from None
    except OSError as error:
        if error.errno is not None:  # an error of the system, not of the gzip format
            raise
        raise DataError(
            f"{path}: the gzip data are damaged ({error}). Fetch the file again."
        ) from None


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    import gzip

    return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]


def _parse(file: IO[bytes], path: Path, dimensions: int | None) -> np.ndarray:
    magic = _read(file, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise DataError(
            f"{path}: not an IDX file: it begins with {magic!r}; expected two zero bytes, a type "
            "(8 for unsigned bytes) and the number of dimensions. It may be a saved web page or "
            "another format.",
            code="wrong-file",
        )
    dtype, ndim = np.dtype(_DTYPES[magic[2]]), magic[3]
    if dimensions is not None and (dtype.itemsize, dtype.kind, ndim) != (1, "u", dimensions):
        raise DataError(
            f"{path}: holds {_KINDS.get(ndim, f'{ndim} dimensions')} of {dtype.newbyteorder('=')} "
            f"(magic number {int.from_bytes(magic)}); expected {_KINDS[dimensions]} of uint8 "
            f"(magic number {0x800 + dimensions}). Were files renamed or exchanged?",
            code="wrong-file",
        )
    header = _read(file, 4 * ndim)
    if len(header) < 4 * ndim:
        raise DataError(
            f"{path}: cut short in the header: {4 + len(header)} bytes; expected {4 + 4 * ndim}."
        )
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    expected = math.prod(shape) * dtype.itemsize
    data = _read(file, expected + 1)  # one more, to notice what should not be there
    if len(data) != expected:
        found = f"{len(data):,} bytes of data" if len(data) < expected else "more"
        advice = "It is cut short" if len(data) < expected else "Something was added at its end"
        raise DataError(
            f"{path}: the header announces {' x '.join(map(str, shape)) or 'one value'}, "
            f"{expected:,} bytes of data; the file holds {found}. {advice}: fetch it again."
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read(file: IO[bytes], size: int) -> bytearray:
    """Up to `size` bytes, in pieces: a damaged header may announce more than the memory holds."""
    data = bytearray()
    while len(data) < size:
        piece = file.read(min(_CHUNK, size - len(data)))
        if not piece:
            break
        data += piece
    return data
