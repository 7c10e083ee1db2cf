"""Named arrays on disk: `save`, `load`, and the atomic writing that all our files go through.

The one invariant: a file under its final name is always whole. `replacing` writes to a temporary
name in the same folder, syncs, and renames, so that a crash, a full disk or Ctrl-C leaves the
previous file as it was.

This is not a pickle: a file is names, dtypes, shapes and numbers, and reading one never runs code
from it. The format follows from the suffix: `.npz` (NumPy's, a zip archive of `.npy` members) or
`.safetensors`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import (
    ArgumentError,
    CallError,
    DataError,
    DtypeError,
    FolderError,
    MissingFileError,
    UnavailableError,
)
from .tensor import Tensor


def save(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a mapping of names to arrays, for instance `model.state_dict()`, to `path`.

    path: a name that ends in `.npz` or `.safetensors`. state: name -> Tensor, ndarray or number, of
    any shape and any dtype except object. An existing file is replaced in one step, and only once
    the new one is complete.
    Raises ValueError for another suffix, TypeError for anything but a mapping with text keys,
    DtypeError for objects, ImportError when `.safetensors` needs its library, FileNotFoundError
    when the folder is missing.
    """
    path = Path(path)
    write = _format_of(path, "save")[0]
    arrays = _arrays(state)
    with replacing(path) as file:
        write(file, arrays)


def load(path: str | Path) -> dict[str, np.ndarray]:
    """Read what `save` wrote: name -> ndarray, each fresh, writable and in native byte order.

    Files of `numpy.savez` and of other safetensors writers can be read too.
    Raises DataError, naming the file, when it is truncated, damaged, not of the format its suffix
    names, or holds pickled objects; ValueError for another suffix; OSError when it cannot be
    opened.
    """
    path = Path(path)
    read = _format_of(path, "load")[1]
    content = path.read_bytes()
    if not content:
        raise DataError(
            f"load: {path} is empty (0 bytes). Save it again, or restore it from a copy."
        )
    return read(path, content)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that becomes `path` when the block ends well, and vanishes if it does not.

    The data are on disk before the new name is (fsync, then rename), and the rename is on disk when
    this returns, where the system lets a folder be synced. A symbolic link stays one: what it
    points to is replaced.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise FolderError(f"cannot write {path}: it is a folder, and a file name was expected.")
    if not path.parent.is_dir():
        raise MissingFileError(
            f"cannot write {path}: the folder {path.parent} does not exist. Create it first."
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open a folder, and some file systems cannot sync one:
    then it is left."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(state, Mapping):
        hint = " Did you mean model.state_dict()?" if hasattr(state, "state_dict") else ""
        raise CallError(
            f"save: expected a mapping of names to arrays, got {type(state).__name__}.{hint}"
        )
    arrays = {}
    for name, value in state.items():
        if not isinstance(name, str) or not name or "\0" in name:
            raise CallError(f"save: every name must be a non-empty string, got {name!r}.")
        array = np.asarray(value.data if isinstance(value, Tensor) else value)
        if array.dtype.hasobject:
            raise DtypeError(
                f"save: {name!r} holds Python objects (dtype {array.dtype}), which only pickle "
                "could write, and a pickle can run code when it is read. Convert it to numbers.",
                code="pickled-objects",
            )
        arrays[name] = array
    return arrays


# NumPy's archive. Written and read member by member, not through numpy.savez and numpy.load: savez
# cannot store an array called "file", and load allocates whatever a damaged header asks for before
# it looks at the data.


def _write_npz(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(name + ".npy")  # a fixed date: equal weights give equal files
            member.external_attr = 0o600 << 16
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def _read_npz(path: Path, content: bytes) -> dict[str, np.ndarray]:
    import zipfile
    import zlib

    damage = (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OSError,
    )
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                arrays[member.removesuffix(".npy")] = read_npy(archive.read(member), member)
    except DataError as error:
        raise DataError(f"load: {path}: {error.args[0]}", code=error.code) from None
    except damage as error:
        raise DataError(
            f"load: {path} is not a complete .npz file ({len(content):,} bytes; {error}). It was "
            "cut short, damaged, or is another format under this name. Save it again, or restore "
            "it from a copy."
        ) from None
    return arrays


def read_npy(content: bytes, name: str) -> np.ndarray:
    """The array in the bytes of one `.npy` file; DataError, naming it, for anything else.

    The header is checked against the bytes at hand before anything is allocated. Format: NumPy
    Enhancement Proposal 1, versions 1.0 and 2.0 (other versions hold names that arrays of numbers
    do not need).
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran_order, dtype = header[version](stream)
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"the member {name!r} is not a .npy array ({error}).") from None
    if dtype.hasobject:
        raise DataError(
            f"the member {name!r} holds pickled objects, which are never loaded: reading could run "
            "code.",
            code="pickled-objects",
        )
    data = content[stream.tell() :]
    count = _product(shape)
    if min(shape, default=0) < 0 or len(data) != count * dtype.itemsize:
        raise DataError(
            f"the member {name!r} announces shape {shape} of {dtype} ({count * dtype.itemsize:,} "
            f"bytes) and holds {len(data):,} bytes."
        )
    flat = np.frombuffer(data, dtype, count) if data else np.empty(count, dtype)
    array = flat.reshape(shape, order="F" if fortran_order else "C")
    return np.array(array, dtype.newbyteorder("="), order="C", copy=True)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for extent in shape:
        product *= int(extent)  # a Python integer: a damaged header cannot overflow it
    return product


def _write_safetensors(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    numpy_format = _safetensors()
    native = {name: np.array(a, a.dtype.newbyteorder("="), order="C") for name, a in arrays.items()}
    file.write(numpy_format.save(native))


def _read_safetensors(path: Path, content: bytes) -> dict[str, np.ndarray]:
    numpy_format = _safetensors()
    try:
        return {name: np.array(array) for name, array in numpy_format.load(content).items()}
    except (
        Exception
    ) as error:  # the library has its own error type, and KeyError for a dtype that NumPy lacks
        raise DataError(
            f"load: {path} is not a complete .safetensors file ({len(content):,} bytes; "
            f"{type(error).__name__}: {error}). Save it again, or restore it from a copy."
        ) from None


def _safetensors() -> Any:
    try:
        import safetensors.numpy as numpy_format  # type: ignore[import-not-found]
    except ImportError:
        raise UnavailableError(
            ".safetensors files need the safetensors library: pip install 'tinygrad-edu[io]' (.npz "
            "needs nothing)."
        ) from None
    return numpy_format


# To add a format, write its row here: suffix, writer (file, arrays), reader (path, content).
_FORMATS = {
    ".npz": (_write_npz, _read_npz),
    ".safetensors": (_write_safetensors, _read_safetensors),
}


def _format_of(path: Path, caller: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        known = " or ".join(_FORMATS)
        raise ArgumentError(
            f"{caller}: {path} has the suffix {suffix!r}; the format is told by {known}.",
            code="unknown-name",
        )
    return _FORMATS[suffix]
