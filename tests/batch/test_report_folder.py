"""What a report removes: its own pages, and nothing else; and what it takes from tables."""

from pathlib import Path

import pytest

from lkca.batch.report import OWN, _as_text, _make_room


def test_only_its_own_pages_are_removed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    pages = [site / "old.html", site / "index.html"]
    _make_room(site, pages)
    for page in pages:
        page.write_text("page")
    (site / "mine.txt").write_text("of the user")
    (tmp_path / "outside.txt").write_text("of the user")
    with (site / OWN).open("a") as noted:
        noted.write("../outside.txt\n")
    _make_room(site, [site / "index.html"])
    assert {path.name for path in site.iterdir()} == {OWN, "mine.txt"}
    assert (tmp_path / "outside.txt").exists() and (site / OWN).read_text() == "index.html\n"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_a_report_did_not_make_is_refused(kind: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    if kind == "folder":
        site.mkdir()
    content = site / "thesis.txt" if kind == "folder" else site
    content.write_text("years of work")
    with pytest.raises(FileExistsError, match="site was not made by a report"):
        _make_room(site, [site / "index.html"])
    assert content.read_text() == "years of work"


def test_cells_of_tables_are_text() -> None:
    table = "| a<script>alert(1)</script> & b | **1** | <u>2</u> |"
    assert _as_text(table) == "| a&lt;script&gt;alert(1)&lt;/script&gt; &amp; b | **1** | <u>2</u> |"
