"""Executing a notebook: written whole or not at all, and without traces of the machine."""

import base64
import io
from pathlib import Path

import nbformat
import papermill
import pytest
from PIL import Image

from lkca.files import project_root
from lkca.studies import notebooks
from lkca.studies.notebooks import execute, takes_profile

PARAMETERS = '# Parameters of this notebook\nprofile = "quick"  # or another\nscale = 4'


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a notebook that prints its parameters and the folder of the project."""
    path = tmp_path / "shown.ipynb"
    monkeypatch.setattr(notebooks, "notebook_path", lambda name: tmp_path / f"{name}.ipynb")
    write(path, f"print(profile, scale, {str(project_root() / 'results')!r})")
    return path


def write(path: Path, code: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, code)]
    cells[0].metadata["tags"] = ["parameters"]
    content = nbformat.v4.new_notebook(cells=cells)
    content.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(content, path)


def test_an_executed_notebook_has_its_outputs_and_no_traces(notebook: Path, tmp_path: Path) -> None:
    target = tmp_path / "executed" / "shown.ipynb"
    execute("shown", target, profile="cpu")
    text = target.read_text()
    assert nbformat.read(target, 4).cells[-1].outputs[0].text == "cpu 4 ./results\n"
    assert str(project_root()) not in text and str(tmp_path) not in text and "papermill" not in text
    assert takes_profile("shown")


def test_an_unknown_parameter_is_refused_with_the_likely_one(notebook: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'profil'.*'profile'.*profile, scale"):
        execute("shown", tmp_path / "executed.ipynb", profil="cpu")
    assert not (tmp_path / "executed.ipynb").exists()


def test_pictures_too_large_to_be_committed_become_smaller(notebook: Path, tmp_path: Path) -> None:
    write(
        notebook,
        "import io, numpy as np\nfrom IPython.display import Image\nfrom PIL import Image as Picture\n"
        "noise = np.random.default_rng(0).integers(0, 255, (700, 700, 3), np.uint8)\n"
        "Picture.fromarray(noise).save(png := io.BytesIO(), 'PNG')\nImage(png.getvalue())",
    )
    execute("shown", tmp_path / "executed.ipynb")
    png = nbformat.read(tmp_path / "executed.ipynb", 4).cells[-1].outputs[0].data["image/png"]
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        assert picture.size == (700, 700) and len(picture.getcolors()) <= 256


@pytest.mark.parametrize(
    ("code", "error"),
    [("print(1)\nraise KeyError(2)", papermill.PapermillExecutionError), ("print('x' * 2_000_000)", ValueError)],
)
def test_a_failed_or_too_large_notebook_is_not_written(
    notebook: Path, tmp_path: Path, code: str, error: type[Exception]
) -> None:
    write(notebook, code)
    with pytest.raises(error):
        execute("shown", tmp_path / "executed.ipynb")
    assert not (tmp_path / "executed.ipynb").exists()
