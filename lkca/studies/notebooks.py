"""Execute a notebook with papermill, and write it without times and paths of this machine. The batch calls

python -m lkca.studies.notebooks NAME TARGET [PARAMETER=VALUE ...]
"""

import base64
import difflib
import io
import re
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from lkca.files import project_root, write_text

MAX_BYTES = 1_000_000  # of an executed notebook, because it is committed
# papermill imports jsonschema, which would spend a second on a grammar of addresses that no notebook needs.
sys.modules.setdefault("rfc3987_syntax", None)


def notebook_path(name: str) -> Path:
    """Return the path of a notebook of the project."""
    return project_root() / "notebooks" / f"{name}.ipynb"


def takes_profile(name: str) -> bool:
    """Say whether a notebook declares a parameter `profile`, without papermill, whose import takes a second."""
    path = notebook_path(name)
    return path.is_file() and bool(re.search(r'^\s*"profile\s*=', path.read_text(encoding="utf-8"), re.MULTILINE))


def execute(name: str, target: Path, **parameters: object) -> None:
    """Execute a notebook of the project; write it to `target` only if every cell ran.

    Raises
    ------
    ValueError
        If the notebook does not declare a parameter (papermill would only warn, and run with the default), or the
        result is too large to be committed even with smaller pictures.
    papermill.PapermillExecutionError
        If a cell raised.
    """
    import nbformat
    import papermill

    source = notebook_path(name)
    declared = papermill.inspect_notebook(str(source))
    for parameter in parameters:
        if parameter not in declared:
            similar = difflib.get_close_matches(parameter, declared, n=1)
            hint = f" Did you mean {similar[0]!r}?" if similar else ""
            raise ValueError(f"notebook {name} has no parameter {parameter!r}.{hint} It has: {', '.join(declared)}")
    executed = papermill.execute_notebook(
        source, None, parameters, kernel_name="python3", language="python", progress_bar=False, cwd=source.parent
    )
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        for key in ("papermill", "execution"):  # times, and paths of this machine
            cell.metadata.pop(key, None)
    for size in (None, 1, 0.7, 0.7):
        if size:
            _reduce_pictures(executed, size)
        text = nbformat.writes(executed).replace(str(project_root()), ".") + "\n"
        if len(text) <= MAX_BYTES:
            break
    else:
        raise ValueError(
            f"{target} would have {len(text) / 1e6:.1f} MB, but at most 1 MB may be committed: show less in it"
        )
    write_text(target, text)


def _reduce_pictures(notebook: Any, size: float) -> None:  # noqa: ANN401 - nbformat's node
    """Reduce the PNGs of an executed notebook to 256 colours, a third of the bytes, and scale their sides by `size`."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if png := output.get("data", {}).get("image/png"):
            with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
                smaller = picture.convert("RGB").resize([round(size * side) for side in picture.size])
            smaller.quantize(256).save(reduced := io.BytesIO(), "PNG", optimize=True)
            output["data"]["image/png"] = base64.b64encode(reduced.getvalue()).decode()


if __name__ == "__main__":
    notebook, path, *pairs = sys.argv[1:]
    execute(notebook, Path(path), **dict(pair.split("=", 1) for pair in pairs))
