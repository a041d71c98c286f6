"""`upscale --report`: one page on a scene, and the time that work will take."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from lkca.__main__ import main
from lkca.sharpening import estimate
from lkca.sharpening.estimate import in_words, upscaling_seconds
from lkca.sharpening.feature_maps import WholeImage
from tests.scenes.enmap_tile import write_tile
from tests.sharpening.small_scene import B, H, W, write_scene

BICUBIC = ["--weights", "bicubic", "--scale", "2", "--no-quicklook"]


def test_page_holds_pictures_numbers_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cube = np.full((B, H, W), 500, np.int16)
    cube[0, 0, 0] = -9999
    scene = write_scene(tmp_path / "a&b.hdr", cube)
    page = tmp_path / "page.html"
    assert main(["upscale", str(scene), str(tmp_path / "out.tif"), *BICUBIC, "--report", str(page)]) == 0
    printed = capsys.readouterr()
    text = page.read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 4 and all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert "a&amp;b.hdr, 2 times sharper" in text and "a&b" not in text
    assert "0 values clipped to the range of int16" in text and "4 pixels without data" in text
    assert re.search(r'class="warning">[^<]*1 of 99 pixels have a value that cannot be data', text)
    assert "1 of 99 pixels" in printed.err
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(""", text)  # nothing of elsewhere


def test_page_is_refused_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_scene(tmp_path / "s.hdr", np.full((B, H, W), 500, np.int16))
    (tmp_path / "page.html").write_text("mine")
    for page, why in (("page.html", "exists"), ("page.tif", "name a page"), ("no/page.html", "there is no folder")):
        command = ["upscale", str(scene), str(tmp_path / "out.tif"), *BICUBIC, "--report", str(tmp_path / page)]
        assert main(command) == 1
        assert why in capsys.readouterr().err
    assert (tmp_path / "page.html").read_text() == "mine" and not (tmp_path / "out.tif").exists()


def test_time_is_told_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile = write_tile(tmp_path / "tile.img", 70, 64)
    assert main(["upscale", str(tile), str(tmp_path / "out.tif"), *BICUBIC]) == 0
    assert re.search(r"bicubic at work, for about 1 s \(measured on a small piece\)", capsys.readouterr().out)


def test_a_larger_scene_takes_longer_and_a_small_one_is_not_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from lkca.models import build_model

    monkeypatch.setattr(estimate, "_shortest", lambda do: do() is None or 2.0)
    model = build_model("bicubic", 3, 2)
    assert upscaling_seconds(model, WholeImage(torch.rand(3, 128, 256)), 2) == 2.0 * 32
    assert upscaling_seconds(model, WholeImage(torch.rand(3, 40, 40)), 2) is None


def test_times_in_words() -> None:
    assert [in_words(seconds) for seconds in (0.1, 61, 600, 7200)] == ["1 s", "61 s", "10 min", "2.0 h"]
