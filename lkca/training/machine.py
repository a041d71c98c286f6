"""The machine at hand: the device to compute on, the memory that a process has taken."""

import resource
import sys

import torch


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" takes a GPU where there is one.

    Raises
    ------
    ValueError
        If a GPU is asked for and there is none, or the name is unknown.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but torch sees no GPU here: use 'auto' or 'cpu'")
    return torch.device(name)


def peak_memory(device: torch.device) -> int:
    """The most memory that was in use, in bytes: the GPU's where the run was on one, else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
