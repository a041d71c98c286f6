"""`fetch` killed as a whole command, while a server that takes its time is sending, and at every step of a writing."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from lkca.__main__ import main
from tests.data.test_fetch import Server, fetched, folder, server  # noqa: F401 - fixtures
from tests.faults.conftest import FULL
from tests.faults.test_campaign import at_step, in_a_process

pytestmark = pytest.mark.faults
KILLS = 3  # one after the other, before it is let through
STEPS = 7  # of writing: the file's content, disk and name, then checksums.json


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """What the command imports, once for all the processes to come."""
    assert main(["fetch", "synthetic"]) == 0


def command() -> None:
    tqdm.set_lock(threading.RLock())  # its own is shared with the process that forked this one, and would stay taken
    main(["fetch", "pavia_centre"])


def in_place_is_whole(server: Server, folder: Path) -> bool:  # noqa: F811
    path = folder / "Pavia.mat"
    return not path.exists() or path.read_bytes() == server.content


def kept(folder: Path) -> int:  # noqa: F811
    part = folder / "Pavia.mat.part"
    return part.stat().st_size if part.is_file() and (folder / "Pavia.mat.part.json").is_file() else 0


@pytest.mark.parametrize("seed", range(30 if FULL else 3))
def test_killed_while_the_server_sends(seed: int, server: Server, folder: Path, tried: Callable) -> None:  # noqa: F811
    draw = np.random.default_rng(seed)
    well = True
    for _ in range(KILLS):
        before = kept(folder)
        server.pieces = int(draw.integers(200, 3000))
        server.kill_at = int(draw.integers(0, max(1, len(server.content) - before - server.pieces)))
        child = os.fork()
        if not child:
            command()
            os._exit(0)
        server.child = child
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        well &= status == -signal.SIGKILL and in_place_is_whole(server, folder) and kept(folder) >= before
    server.pieces = 0
    have, asked = kept(folder), len(server.asked)
    well &= fetched(folder) == server.content
    well &= server.asked[asked:] == [f"bytes={have}-" if have else None]  # from where it was
    tried("kills in fetch", well, seed)


@pytest.mark.parametrize("step", range(1, STEPS + 1) if FULL else (3, 6))
def test_killed_at_a_step_of_a_writing(step: int, server: Server, folder: Path, tried: Callable) -> None:  # noqa: F811
    def killed() -> None:
        at_step(step, lambda: os._exit(9))
        command()

    status = in_a_process(killed)
    well = in_place_is_whole(server, folder) and status == 9
    well &= fetched(folder) == server.content and len(server.asked) == 1  # complete: it is not asked for again
    tried("kills in fetch", well, (step, status))
