"""Record where a number comes from: code, versions, machine; and find the device to compute on."""

import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from lkca.files import project_root

PACKAGES = ("lkca", "torch", "numpy", "scipy", "scikit-image")
MAX_SECONDS = 20  # to wait for git


def provenance(device: torch.device) -> dict[str, object]:
    """Return commit, versions, machine and time as plain JSON values."""
    record: dict[str, object] = {
        "commit": commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "device": device.type,
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        return record | {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    return record | {"cpu": cpu()}


def commit() -> str:
    """Return the checkout's commit, with "+changes" if lkca/ differs from it; "unknown" outside a checkout.

    `LKCA_COMMIT` overrides it, for copies without .git on a cluster or in a container.
    """
    if given := os.environ.get("LKCA_COMMIT"):
        return given
    found = _output("git", "-C", str(project_root()), "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "-C", str(project_root()), "status", "--porcelain", "--", "lkca")
    return (found or "unknown") + ("+changes" if changed else "")


def cpu() -> str:
    """Return the model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def find_device(name: str) -> torch.device:
    """Return the device "cpu" or "cuda"; "auto" takes a GPU if there is one.

    Raises
    ------
    ValueError
        If the name is unknown, or there is no GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda': torch finds no GPU here; use auto or cpu")
    return torch.device(name)


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: the GPU's if the device is one, else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _output(*command: str) -> str:
    """Return what a command prints, or "" if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
