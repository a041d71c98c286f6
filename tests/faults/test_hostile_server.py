"""Servers that cut, lie, change and refuse: the right file in the end, or an error that names the address."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lkca.data import fetch
from tests.data.test_fetch import Server, folder, server  # noqa: F401 - fixtures
from tests.faults.conftest import FULL

pytestmark = pytest.mark.faults
LIES = ("", "bytes 7-100/101", "nonsense", "bytes */5", "bytes 0-1/9999999")


@pytest.mark.parametrize("seed", range(60 if FULL else 5))
def test_server_of_any_kind(seed: int, server: Server, folder: Path, tried: Callable) -> None:  # noqa: F811
    draw = np.random.default_rng(seed)
    server.cuts = [int(cut) for cut in draw.integers(0, 9000, draw.integers(0, 40))]
    server.statuses = [int(status) for status in draw.choice([429, 500, 503, 416], draw.integers(0, 3))]
    server.ranges, server.honours_if_range = bool(draw.integers(2)), bool(draw.integers(2))
    server.lies, server.tag = str(draw.choice(LIES)), str(draw.choice(['"one"', 'W/"weak"', ""]))
    if draw.integers(2):
        server.on_cut = lambda state: setattr(state, "tag", f'"{len(state.asked)}"')
    try:
        fetch.fetch("pavia_centre", log=lambda _: None, progress=False)
        well = (folder / "Pavia.mat").read_bytes() == server.content
    except OSError as error:
        well = server.url in str(error) and not (folder / "Pavia.mat").exists()
    tried("hostile servers", well and len(server.asked) < 200, seed)
