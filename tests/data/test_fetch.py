"""fetch against a local server: cuts, errors, wrong checksums, other scenes."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lkca.data.datasets import DATASETS
from lkca.data.fetch import TRIES, fetch, recorded_checksums
from lkca.data.loaders import OTHER_SCENES
from tests.data.scene_files import write_v5

SHAPE = (6, 40, 30)


@dataclass
class Server:
    """What the server sends: `statuses` and `cuts` (bytes sent) are those of the next answers."""

    content: bytes
    url: str = ""
    redirect: str = ""
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    asked: int = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        request.close_connection = True
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        request.send_response(302 if self.redirect else 200)
        if self.redirect:
            request.send_header("Location", self.redirect)
        request.send_header("Content-Length", str(0 if self.redirect else len(self.content)))
        request.end_headers()
        if not self.redirect:
            request.wfile.write(self.content[: self.cuts.pop(0) if self.cuts else None])


def scene_bytes(folder: Path, shape: tuple[int, int, int] = SHAPE, key: str = "pavia") -> bytes:
    cube = np.random.default_rng(0).integers(1, 8000, shape).astype(np.uint16)
    return write_v5(folder / "scene.mat", cube, key).read_bytes()


def declare(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    small = replace(DATASETS["pavia_centre"], shape=SHAPE, urls={"Pavia.mat": url})
    monkeypatch.setitem(DATASETS, "pavia_centre", small)


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
    declare(monkeypatch, state.url)
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def fetch_pavia(folder: Path) -> bytes:
    """`fetch` the file; nothing else may be left beside it."""
    assert fetch("pavia_centre", log=lambda _: None, progress=False)
    assert {path.name for path in folder.iterdir()} == {"Pavia.mat", "checksums.json"}
    return (folder / "Pavia.mat").read_bytes()


def test_downloads_verifies_and_records(server: Server, folder: Path) -> None:
    said: list[str] = []
    assert fetch("pavia_centre", said.append, progress=False)
    assert (folder / "Pavia.mat").read_bytes() == server.content
    checksum = json.loads((folder / "checksums.json").read_text())["Pavia.mat"]
    assert len(checksum) == 64 and checksum in said[-1] and "40 x 30 pixels, 6 bands, uint16" in said[-2]
    assert fetch("pavia_centre", said.append)  # a second time: nothing is asked, all is checked
    assert "as recorded" in said[-1] and server.asked == 1


@pytest.mark.parametrize(("statuses", "cuts"), [([503, 429], []), ([], [0, 100]), ([500], [5000])], ids=str)
def test_a_server_that_fails_for_a_while(server: Server, folder: Path, statuses: list, cuts: list) -> None:
    server.statuses, server.cuts = statuses, cuts
    assert fetch_pavia(folder) == server.content


@pytest.mark.parametrize("kind", ["cuts", "busy", "missing", "redirect", "silent"])
def test_a_server_that_fails_for_good(
    kind: str, server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url
    if kind == "cuts":
        server.cuts = [20] * 100
    elif kind == "busy":
        server.statuses = [503] * 100
    elif kind == "missing":
        server.statuses = [404]
    elif kind == "redirect":
        (tmp_path / "secret").write_text("secret")
        server.redirect = f"file://{tmp_path / 'secret'}"
    else:
        url = "http://127.0.0.1:9/Pavia.mat"
        declare(monkeypatch, url)
    with pytest.raises(OSError, match=url) as caught:
        fetch_pavia(folder)
    assert "could not write" not in str(caught.value) and not any(folder.iterdir())
    assert server.asked == {"missing": 1, "silent": 0}.get(kind, TRIES)


@pytest.mark.parametrize("downloaded", [False, True])
def test_a_file_that_changed_since_is_refused_but_kept(server: Server, folder: Path, downloaded: bool) -> None:
    fetch_pavia(folder)
    old, kept = recorded_checksums()["Pavia.mat"], folder / "Pavia.mat"
    changed = server.content.replace(b"MATLAB 5.0", b"MATLAB 5.1")
    if downloaded:
        kept.unlink()
        server.content, kept = changed, folder / "Pavia.mat.rejected"
    else:
        kept.write_bytes(changed)
    with pytest.raises(ValueError, match=rf"checksum is (?!{old})\w+, but .*checksums.json recorded {old}"):
        fetch_pavia(folder)
    assert kept.read_bytes() == changed and {file.name for file in folder.iterdir()} == {kept.name, "checksums.json"}


def test_a_download_that_is_another_scene_is_rejected(
    server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OTHER_SCENES, "Pavia University", (7, 9, 8))
    server.content = scene_bytes(tmp_path, (7, 9, 8))
    with pytest.raises(ValueError, match=r"Pavia University.*kept as .*Pavia.mat.rejected"):
        fetch_pavia(folder)
    assert not (folder / "Pavia.mat").exists() and not (folder / "checksums.json").exists()
    server.content = b"<html>please accept our cookies</html>"
    with pytest.raises(ValueError, match="not a .mat file"):
        fetch_pavia(folder)


@pytest.mark.parametrize("name", ["chikusei", "houston2018", "la_aviris", "samson"])
def test_steps_by_hand(name: str, folder: Path) -> None:
    said: list[str] = []
    assert not fetch(name, said.append)
    for part in (*DATASETS[name].files, str(folder), f"lkca fetch {name}"):
        assert part in "\n".join(said)


def test_a_file_put_there_by_hand_is_verified(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "la_aviris", replace(DATASETS["la_aviris"], files=("abu-urban-4.mat",)))
    (folder / "abu-urban-4.mat").write_bytes(scene_bytes(tmp_path, (205, 100, 100), "data"))
    said: list[str] = []
    assert fetch("la_aviris", said.append)
    assert "205 bands" in said[0] and "now recorded" in said[1]
    (folder / "abu-urban-4.mat").write_bytes(scene_bytes(tmp_path, (205, 100, 100), "cube"))
    with pytest.raises(ValueError, match="no variable 'data'"):
        fetch("la_aviris", said.append)


def test_nothing_to_fetch(folder: Path) -> None:
    assert fetch("synthetic", log=lambda _: None)


@pytest.mark.parametrize("content", ["{", "[1]", '{"Pavia.mat": 3}'])
def test_a_damaged_record_is_named(folder: Path, content: str) -> None:
    (folder / "checksums.json").write_text(content)
    with pytest.raises(ValueError, match="checksums.json: "):
        recorded_checksums()
