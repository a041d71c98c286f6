"""Choosing the scene among the variables of a .mat or .npz file."""

import difflib
from pathlib import Path

NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {
    "float16",
    "float32",
    "float64",
}
BANDS_FIRST = {"HWB": (2, 0, 1), "BHW": (0, 1, 2), "HBW": (1, 0, 2)}
"""Layout -> the axes of an array of that layout as (B, H, W)."""
Variables = dict[str, tuple[tuple[int, ...], str]]
"""Name -> (shape as MATLAB or numpy shows it, type: numpy's name, or MATLAB's for what is no number)."""


def choose_key(path: Path, variables: Variables, key: str | None) -> str:
    """The variable to read: `key`, else the only 3-D array of real numbers.

    Raises
    ------
    ValueError
        No such variable, several that fit, or one that is not a 3-D array of real numbers; lists those there.
    """
    listing = ", ".join(f"{name} {shape} {kind}" for name, (shape, kind) in variables.items()) or "nothing"
    if key is None:
        fitting = [name for name, (shape, kind) in variables.items() if len(shape) == 3 and kind in NUMBERS]
        if len(fitting) > 1:
            raise ValueError(
                f"{path}: holds several 3-D arrays, say which by key=... (--key): one of {', '.join(fitting)}"
            )
        if fitting:
            key = fitting[0]
        elif len(variables) == 1:
            (key,) = variables  # the check below says what is wrong with it
        else:
            raise ValueError(f"{path}: holds no 3-D array of real numbers, which a scene is. It holds: {listing}.")
    elif key not in variables:
        similar = difflib.get_close_matches(key, variables, n=1)
        hint = f" Did you mean {similar[0]!r}?" if similar else ""
        raise ValueError(f"{path}: holds no variable {key!r}.{hint} It holds: {listing}.")
    check_array(path, *variables[key], name=key)
    return key


def check_array(path: Path, shape: tuple[int, ...], kind: str, name: str = "array") -> None:
    """Raise ValueError unless shape and type are those of a scene: three axes, real numbers, not empty."""
    if kind.startswith("complex"):
        raise ValueError(f"{path}: {name} holds complex numbers; a scene has real ones. Save its abs() or real part.")
    if kind not in NUMBERS:
        raise ValueError(f"{path}: {name} is of type {kind}; a scene is a 3-D array of whole or floating numbers")
    if len(shape) != 3:
        raise ValueError(
            f"{path}: {name} has {len(shape)} axes, shape {shape}; a scene has three (height, width, bands). "
            "Reshape it, or choose another variable or file."
        )
    if min(shape) <= 0:
        raise ValueError(f"{path}: {name} is empty, shape {shape}")


def wavelengths_key(variables: Variables) -> str | None:
    """The variable called wavelength(s), with or without its unit nm, if there is one with real numbers."""
    names = {f"{name}{unit}" for name in ("wavelength", "wavelengths") for unit in ("", "_nm")}
    return next((n for n, (_, kind) in variables.items() if n.lower() in names and kind in NUMBERS), None)
