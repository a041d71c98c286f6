"""sharpen: raise the spatial resolution of a hyperspectral scene, whatever its sensor."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sharpen.arrays import sharpen
    from sharpen.files import sharpen_file
    from sharpen.image.model import load_pretrained
    from sharpen.scene.io import open_scene

# Where each public name is defined. A name is imported when it is first used: torch alone takes seconds to import.
_HOMES = {
    "load_pretrained": "sharpen.image.model",
    "open_scene": "sharpen.scene.io",
    "sharpen": "sharpen.arrays",
    "sharpen_file": "sharpen.files",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
