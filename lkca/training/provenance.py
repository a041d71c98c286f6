"""What a number needs to be traced to the run that made it: code, versions, machine."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from lkca.paths import project_root


def provenance(device: torch.device) -> dict[str, object]:
    """The code's commit, the versions, the machine and the time, as plain JSON values."""
    names = ("torch", "numpy", "scipy", "scikit-image")
    record: dict[str, object] = {
        "lkca": _version("lkca"),
        "commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{name: _version(name) for name in names},
        "system": f"{platform.system()} {platform.machine()}",
        "device": device.type,
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        record |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "driver": _driver()}
    else:
        record["cpu"] = _cpu()
    return record


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _commit() -> str:
    """The checkout's commit, with "+changes" where the code differs from it; "unknown" outside a checkout."""
    if commit := os.environ.get("LKCA_COMMIT"):  # for copies without their .git, on a cluster or in a container
        return commit
    commit = _output("git", "-C", str(project_root()), "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "-C", str(project_root()), "status", "--porcelain", "--", "lkca")
    return (commit or "unknown") + ("+changes" if changed else "")


def _driver() -> str:
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
