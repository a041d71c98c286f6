"""Kill a process, or fill the disk, at a chosen step of a writing.

A step is where a file gets a temporary name, before its content is forced to the disk, and before and after it gets its
final name or an old file is removed.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Work = Callable[[], object]


def in_a_process(work: Work) -> int:
    """Do it in a child process, which a kill does not survive; return its exit status."""
    process = os.fork()
    if not process:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@contextmanager
def at_step(number: int, do: Work) -> Iterator[list[str]]:
    """Do something at this step of all writings within the block, counted from 1; yield the steps that came."""
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == number:
            do()

    def around(function: Callable, before: bool, after: bool) -> Callable:
        def call(*given: object, **named: object) -> object:
            if before:
                step(f"before {function.__name__}")
            result = function(*given, **named)
            if after:
                step(f"after {function.__name__}")
            return result

        return call

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "mkstemp", around(tempfile.mkstemp, False, True))
        patched.setattr(os, "fsync", around(os.fsync, True, False))
        patched.setattr(Path, "replace", around(Path.replace, True, True))
        patched.setattr(Path, "unlink", around(Path.unlink, True, False))
        yield steps


def kill() -> None:
    """End this process as a kill does: nothing is cleaned up."""
    os._exit(9)


def steps_of(work: Work) -> list[str]:
    """Return the steps of all writings of some work, which is done."""
    with at_step(0, kill) as steps:
        work()
    return steps


@contextmanager
def full_disk_at(number: int) -> Iterator[None]:
    """Let the disk be full when the content of a file, counted from 1, is forced to it."""

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    count = 0
    fsync = os.fsync

    def counted(file: int) -> None:
        nonlocal count
        count += 1
        full() if count == number else fsync(file)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", counted)
        yield
