"""Scene files with bits flipped, bytes changed and cut short: what is read is compared with what was there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.faults.conftest import FULL
from tests.faults.scenes import READERS, WRITERS, judge, may_end, unprotected

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1200)]
DAMAGES = 120 if FULL else 9  # of a file of each kind: a third each flips a bit, changes bytes, cuts
MAX_CHANGES = 12  # bytes


def damaged(healthy: bytes, number: int) -> tuple[bytes, list[int]]:
    """Return the content after a damage of this number, and the places that changed."""
    draw = np.random.default_rng(number)
    content = bytearray(healthy)
    if number % 3 == 0:
        content[draw.integers(len(content))] ^= 1 << int(draw.integers(8))
    else:
        for place in draw.integers(0, len(content), draw.integers(1, MAX_CHANGES + 1) if number % 3 == 1 else 0):
            content[place] = int(draw.integers(256))
    places = [place for place, byte in enumerate(content) if byte != healthy[place]]
    return bytes(content[: draw.integers(len(content)) if number % 3 == 2 else None]), places


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("reader", READERS)
def test_damaged_scene(kind: str, reader: str, tmp_path: Path, tried: Callable) -> None:
    name, write = WRITERS[kind]
    path = tmp_path / name
    write(path)
    healthy, bare, right = path.read_bytes(), unprotected(kind, path), READERS[reader](path)
    for number in range(DAMAGES):
        content, places = damaged(healthy, number)
        path.write_bytes(content)
        may_differ = any(bare[place] for place in places) or (len(content) < len(healthy) and may_end(kind, content))
        verdict = judge(READERS[reader], path, right, may_differ)
        tried(f"{kind}, read by {reader}", verdict.outcome, (number, places, len(content), verdict.found))
