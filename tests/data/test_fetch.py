"""fetch against a local server: cuts, no ranges, a file that changes between two parts, wrong checksums."""

import contextlib
import errno
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from lkca import paths
from lkca.__main__ import main
from lkca.data import datasets, fetch
from lkca.data.datasets import DATASETS

SHAPE = (6, 40, 30)


@dataclass
class Server:
    """What the server does: `cuts` are the bytes after which each of the next answers breaks off.

    pieces : bytes that it sends at a time, with a pause after each; 0 sends all at once. After `kill_at` bytes it kills
    the process `child`.
    """

    content: bytes
    tag: str = '"one"'
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    on_cut: object = None
    honours_if_range: bool = True
    lies: str = ""
    url: str = ""
    redirect: str = ""
    pieces: int = 0
    kill_at: int = 0
    child: int = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        span = request.headers.get("Range")
        self.asked.append(span)
        if self.redirect:
            request.send_response(302)
            request.send_header("Location", self.redirect)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        start, condition = 0, request.headers.get("If-Range")
        if self.ranges and span and (condition in (None, self.tag) or not self.honours_if_range):
            start = int(span.removeprefix("bytes=").split("-")[0])
            if start >= len(self.content):
                request.send_error(416)
                return
            request.send_response(206)
            total = len(self.content)
            request.send_header("Content-Range", self.lies or f"bytes {start}-{total - 1}/{total}")
        else:
            request.send_response(200)
        body = self.content[start:]
        request.send_header("Content-Length", str(len(body)))
        if self.tag:
            request.send_header("ETag", self.tag)
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else None
        if self.pieces:
            self.send_slowly(request, body)
        else:
            request.wfile.write(body[:cut])
        if cut is not None and self.on_cut:
            self.on_cut(self)
        request.close_connection = True

    def send_slowly(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        with contextlib.suppress(OSError):  # who asked is no more
            for start in range(0, len(body), self.pieces):
                if start >= self.kill_at:
                    break
                request.wfile.write(body[start : start + self.pieces])
                time.sleep(0.002)
        os.kill(self.child, signal.SIGKILL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LKCA_DATA", str(tmp_path / "scenes"))
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setattr(fetch, "BLOCK", 1000)
    return tmp_path / "scenes"


def scene_bytes(tmp_path: Path, shape: tuple[int, int, int] = SHAPE, key: str = "pavia") -> bytes:
    """A Pavia.mat of random numbers, large enough to be cut."""
    bands, height, width = shape
    cube = np.random.default_rng(0).integers(1, 8000, (height, width, bands)).astype(np.uint16)
    scipy.io.savemat(tmp_path / "made.mat", {key: cube})
    return (tmp_path / "made.mat").read_bytes()


@pytest.fixture
def server(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that has a small Pavia.mat, where `fetch` looks for it."""
    state = Server(scene_bytes(tmp_path))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/Pavia.mat"
    monkeypatch.setitem(fetch.URLS, "Pavia.mat", state.url)
    monkeypatch.setitem(datasets.DATASETS, "pavia_centre", replace(DATASETS["pavia_centre"], shape=SHAPE))
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def fetched(folder: Path) -> bytes:
    """`fetch pavia_centre`, and the file; nothing else may be left beside it."""
    assert fetch.fetch("pavia_centre", log=lambda _: None, progress=False)
    left = {path.name for path in folder.iterdir()} - {"Pavia.mat.part.lock"}
    assert left == {"Pavia.mat", "checksums.json"}
    return (folder / "Pavia.mat").read_bytes()


def test_downloads_verifies_and_records(server: Server, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "pavia_centre"]) == 0
    assert (folder / "Pavia.mat").read_bytes() == server.content
    printed = capsys.readouterr().out
    checksum = json.loads((folder / "checksums.json").read_text())["Pavia.mat"]
    assert len(checksum) == 64 and f"SHA-256 {checksum}, now recorded" in printed
    assert "40 x 30 pixels, 6 bands, uint16, values" in printed
    assert main(["fetch", "pavia_centre"]) == 0  # a second time: nothing is asked, all is checked
    assert "as recorded" in capsys.readouterr().out and server.asked == [None]


@pytest.mark.parametrize("cuts", [[5000], [5000, 0, 1000, 3000], [1000] * 8])
def test_goes_on_after_a_cut(server: Server, folder: Path, cuts: list[int]) -> None:
    server.cuts = cuts.copy()
    assert fetched(folder) == server.content
    starts = np.cumsum(cuts)
    assert server.asked == [None, *(f"bytes={start}-" for start in starts)]


def test_goes_on_in_the_next_call(server: Server, folder: Path) -> None:
    server.cuts = [5000] + [0] * fetch.TRIES
    with pytest.raises(OSError, match=r"Is there a network\? 5000 bytes are kept: the same command goes on"):
        fetched(folder)
    assert not (folder / "Pavia.mat").exists()
    server.cuts, server.asked = [], []
    assert fetched(folder) == server.content
    assert server.asked == ["bytes=5000-"]


def test_server_without_ranges_starts_again(server: Server, folder: Path) -> None:
    server.ranges, server.cuts = False, [5000]
    assert fetched(folder) == server.content
    assert server.asked == [None, "bytes=5000-"]


@pytest.mark.parametrize("honours_if_range", [True, False])
@pytest.mark.parametrize("change", ["tag", "size", "tag and size"])
def test_file_that_changes_between_two_parts(
    server: Server, folder: Path, tmp_path: Path, honours_if_range: bool, change: str
) -> None:
    def new_file(state: Server) -> None:
        state.content = bytes(reversed(state.content)) if change == "tag" else state.content + b"more"
        state.tag = state.tag if change == "size" else '"two"'

    server.honours_if_range, server.cuts, server.on_cut = honours_if_range, [5000], new_file
    downloader = fetch.ResumableDownloader(folder / "Pavia.mat.part", progress=False)
    downloader(server.url, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == server.content  # all of the new one, nothing of the old


def test_server_that_cuts_and_changes_for_ever(server: Server, folder: Path) -> None:
    """Each answer breaks off, and each time the file is said to be another."""
    server.cuts, server.honours_if_range = [20] * 1000, False

    def another(state: Server) -> None:
        state.tag = f'"{len(state.asked)}"'

    server.on_cut = another
    with pytest.raises(OSError, match=rf"\({fetch.TRIES} tries\)"):
        fetched(folder)
    assert len(server.asked) <= 3 * fetch.TRIES


@pytest.mark.parametrize("lie", ["bytes 7-100/101", "nonsense", ""])
def test_server_that_cuts_and_says_a_wrong_range_for_ever(server: Server, folder: Path, lie: str) -> None:
    server.cuts, server.lies = [20] * 1000, lie or " "
    with pytest.raises(OSError, match=rf"\({fetch.TRIES} tries\)"):
        fetched(folder)
    assert len(server.asked) <= 3 * fetch.TRIES


def test_redirect_to_a_file_is_refused(server: Server, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    server.redirect = f"file://{tmp_path / 'secret'}"
    with pytest.raises(OSError, match=r"cannot be downloaded .*file://") as caught:
        fetched(folder)
    assert "checksum" not in str(caught.value) and not (folder / "Pavia.mat").exists()


def test_complete_download_whose_renaming_was_killed_is_not_asked_for_again(server: Server, folder: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(step: str, path: Path) -> None:
        if (step, path.name) == ("synced", "Pavia.mat"):
            raise Killed

    paths.STEPS.append(kill)
    try:
        with pytest.raises(Killed):
            fetched(folder)
    finally:
        paths.STEPS.remove(kill)
    assert fetched(folder) == server.content and server.asked == [None]


def test_part_of_which_nothing_is_known_is_not_kept(server: Server, folder: Path) -> None:
    folder.mkdir()
    (folder / "Pavia.mat.part").write_bytes(b"x" * 100)
    assert fetched(folder) == server.content and server.asked == [None]


def test_answer_that_is_another_part_is_not_taken(server: Server, folder: Path) -> None:
    server.cuts, server.lies = [5000], "bytes 7-100/101"
    assert fetched(folder) == server.content
    assert server.asked == [None, "bytes=5000-", None]


def test_part_that_was_complete_is_taken(server: Server, folder: Path) -> None:
    folder.mkdir()
    (folder / "Pavia.mat.part").write_bytes(server.content)
    stamp = {"url": server.url, "tag": server.tag, "total": len(server.content)}
    (folder / "Pavia.mat.part.json").write_text(json.dumps(stamp))
    assert fetched(folder) == server.content and server.asked == []


def test_busy_server_is_asked_again(server: Server, folder: Path) -> None:
    server.statuses = [503, 429]
    assert fetched(folder) == server.content


def test_not_there(server: Server, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.statuses = [404]
    assert main(["fetch", "pavia_centre"]) == 1
    error = capsys.readouterr().err
    assert f"{server.url}: the server answered 404" in error and "by hand" in error
    assert server.asked == [None]  # once: it will not come back


def test_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fetch.URLS, "Pavia.mat", "http://127.0.0.1:9/Pavia.mat")
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    with pytest.raises(OSError, match=rf"127.0.0.1:9.*ConnectionError\) \({fetch.TRIES} tries\). Is there a network"):
        fetch.fetch("pavia_centre", log=lambda _: None, progress=False)


def test_full_disk(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *arguments: object, **options: object) -> object:
        stream = opened(self, *arguments, **options)
        if self.suffix == ".part":
            stream.close()
            raise OSError(errno.ENOSPC, "No space left on device")
        return stream

    opened = Path.open
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="could not write .*Pavia.mat.part: No space left on device"):
        fetch.fetch("pavia_centre", log=lambda _: None, progress=False)
    assert len(server.asked) == 1 and not (folder / "Pavia.mat").exists()


def test_file_that_changed_since(server: Server, folder: Path) -> None:
    fetched(folder)
    old = json.loads((folder / "checksums.json").read_text())["Pavia.mat"]
    changed = server.content[:-2] + b"\0\0"
    (folder / "Pavia.mat").write_bytes(changed)
    with pytest.raises(ValueError, match=rf"checksum is (?!{old})\w+, but .* recorded {old}.*left as it is"):
        fetched(folder)
    assert (folder / "Pavia.mat").read_bytes() == changed


def test_download_with_another_checksum_is_not_put_in_place(server: Server, folder: Path) -> None:
    fetched(folder)
    old = json.loads((folder / "checksums.json").read_text())["Pavia.mat"]
    (folder / "Pavia.mat").unlink()
    server.content += b"changed"
    with pytest.raises(ValueError, match=rf"has not the checksum that .*checksums.json recorded.*{old}") as caught:
        fetched(folder)
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", str(caught.value)))) == 2
    assert not (folder / "Pavia.mat").exists()


def test_download_that_is_another_scene_is_rejected(server: Server, folder: Path, tmp_path: Path) -> None:
    server.content = scene_bytes(tmp_path, (103, 610, 340))
    with pytest.raises(ValueError, match=r"probably Pavia University.*kept as .*Pavia.mat.rejected"):
        fetched(folder)
    assert not (folder / "Pavia.mat").exists() and not (folder / "checksums.json").exists()
    server.content = b"<html>please accept our cookies</html>"
    with pytest.raises(ValueError, match="not a .mat file"):
        fetched(folder)


@pytest.mark.parametrize("name", ["chikusei", "houston2018", "la_aviris"])
def test_steps_by_hand(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", name]) == 1
    printed = capsys.readouterr().out
    for part in (*DATASETS[name].files, str(folder), f"python -m lkca fetch {name}", "1. Open http"):
        assert part in printed


def test_file_put_there_by_hand_is_verified(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(datasets.DATASETS, "la_aviris", replace(DATASETS["la_aviris"], files=("abu-urban-4.mat",)))
    folder.mkdir()
    (folder / "abu-urban-4.mat").write_bytes(scene_bytes(tmp_path, (205, 100, 100), "data"))
    said: list[str] = []
    assert fetch.fetch("la_aviris", log=said.append)
    assert "205 bands" in said[0] and "now recorded" in said[1]
    (folder / "abu-urban-4.mat").write_bytes(scene_bytes(tmp_path, (205, 100, 100), "cube"))
    with pytest.raises(ValueError, match="no variable 'data'"):
        fetch.fetch("la_aviris", log=said.append)


def test_datasets_says_how_to_fetch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert "`python -m lkca fetch pavia_centre` downloads it" in printed
    assert "`python -m lkca fetch chikusei` says how to get it" in printed
    assert main(["fetch", "chikusai"]) == 1 and "unknown dataset 'chikusai'" in capsys.readouterr().err


def test_broken_record_is_said(folder: Path) -> None:
    folder.mkdir()
    (folder / "checksums.json").write_text("{")
    with pytest.raises(ValueError, match="checksums.json: not JSON"):
        fetch.recorded()
