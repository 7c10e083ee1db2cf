"""Looking at things. The graph of a Tensor or Value is drawn without any library; everything else
is drawn by matplotlib, which the extra `viz` installs, and is imported when first asked for."""

from __future__ import annotations

import importlib
from typing import Any

from .figure import COLORS, MARKERS, new_figure

__all__ = [
    "COLORS",
    "MARKERS",
    "boundary",
    "confusion_matrix",
    "curves",
    "feature_maps",
    "filters",
    "graph",
    "image_grid",
    "new_figure",
    "read_image",
    "roc",
    "save_image",
]

# name: the file that it lives in. No file has the name of a function here: importing the file would
# put the module in the function's place.
_WITHIN: dict[str, str] = {
    **dict.fromkeys(("feature_maps", "filters", "image_grid"), "images"),
    **dict.fromkeys(("confusion_matrix", "roc"), "confusion"),
    **dict.fromkeys(("read_image", "save_image"), "files"),
    "boundary": "regions",
    "curves": "training",
    "graph": "drawing",
}


def __getattr__(name: str) -> Any:
    if name in _WITHIN:
        return getattr(importlib.import_module(f".{_WITHIN[name]}", __name__), name)
    raise AttributeError(f"module 'tinygrad_edu.viz' has no attribute {name!r}")
