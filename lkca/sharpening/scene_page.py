"""One HTML page on a scene that was sharpened: what was read, before and after, numbers, warnings. It needs no other
file: pictures are in it.
"""

import base64
import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import jinja2
import numpy as np
from matplotlib.image import imsave

from lkca import __version__
from lkca.paths import expanded, write_text
from lkca.scenes.picture import picture
from lkca.scenes.scene import Scene
from lkca.scenes.view import part
from lkca.sharpening.upscale import Upscaled

WHOLE, DETAIL = 700, 48  # pixels of a picture of all of it; LR pixels on a side of the middle, shown enlarged

PAGE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ name }}, sharpened</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #ddd }
th { font-weight: 600 }
td { overflow-wrap: anywhere }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
figure { margin: 0 } img { width: 100%; image-rendering: pixelated; border: 1px solid #ccc }
.warning { border-left: 4px solid #b3541e; background: #fbf1ea; padding: .4rem .8rem; margin: .5rem 0 }
footer { margin-top: 2rem; color: #666; font-size: .85rem }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr } }
</style></head><body>
<h1>{{ name }}, {{ scale }} times sharper</h1>
<h2>Warnings</h2>
{% for line in warned %}<p class="warning">{{ line }}</p>
{% else %}<p>None.</p>
{% endfor %}
{% for title, pictures in pairs.items() %}<h2>{{ title }}</h2>
<div class="pair">
{% for what, data in pictures.items() %}<figure>
<img alt="{{ title }}, {{ what }}" src="data:image/png;base64,{{ data }}">
<figcaption>{{ what }}</figcaption></figure>
{% endfor %}</div>
{% endfor %}
<h2>What was read, and what was written</h2>
<table><tr><th></th><th>read</th><th>written</th></tr>
{% for what, read, written in facts %}<tr><th>{{ what }}</th><td>{{ read }}</td><td>{{ written }}</td></tr>
{% endfor %}</table>
<h2>What was done</h2>
<ul>{% for line in said %}<li>{{ line }}</li>
{% endfor %}</ul>
<footer>lkca {{ version }}, weights: {{ weights }}. Pictures are stretched from the 2nd to the 98th percentile, each by
itself; pixels without data are grey.</footer>
</body></html>
""")


def report_path(page: str | Path, overwrite: bool) -> Path:
    """The page's path.

    Raises
    ------
    ValueError, FileExistsError, FileNotFoundError
        If it is not called .html, exists and is not to be replaced, or its folder is not there.
    """
    path = expanded(page)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report {path}: name a page such as page.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--report {path}: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"--report {path} exists: choose another name, or give --overwrite")
    return path


@contextlib.contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """Warnings are shown as ever, and each goes into the list once as well."""
    kept: list[str] = []
    show = warnings.showwarning

    def shown(message: Warning | str, *rest: object) -> None:
        if str(message) not in kept:
            kept.append(str(message))
        show(message, *rest)

    warnings.showwarning = shown
    try:
        yield kept
    finally:
        warnings.showwarning = show


def write_scene_page(
    path: Path,
    before: Scene,
    done: Upscaled,
    weights: str | Path,
    said: Sequence[str],
    warned: Sequence[str],
    bands: Sequence[int] | None = None,
) -> None:
    """Write the page, whole or not at all.

    Parameters
    ----------
    before : the scene as it was read. done : what became of it. weights : as they were named.
    said, warned : lines of progress and results; what to beware of. bands : shown as red, green and blue, from 0 on.
    """
    after = done.open()
    scale = after.shape[1] // before.shape[1]
    named = {f"before, {_size(before)}": before, f"after, {_size(after)}": after}
    _, height, width = before.shape
    side = min(height, width, DETAIL)
    top, left = (height - side) // 2, (width - side) // 2
    middle = {}
    for (what, scene), factor in zip(named.items(), (1, scale), strict=True):
        rows, columns = (slice(first * factor, (first + side) * factor) for first in (top, left))
        middle[what.partition(",")[0]] = part(scene, rows=rows, columns=columns)
    pairs = {
        "The whole scene": {what: _png(scene, bands) for what, scene in named.items()},
        f"Its middle, {side} x {side} of the old pixels": {what: _png(scene, bands) for what, scene in middle.items()},
    }
    text = PAGE.render(
        name=before.path.name, scale=scale, pairs=pairs, facts=list(_facts(before, after)), said=said, warned=warned,
        version=__version__, weights=weights,
    )  # fmt: skip
    write_text(path, text)


def _png(scene: Scene, bands: Sequence[int] | None) -> str:
    """A picture of it as base64."""
    stream = io.BytesIO()
    imsave(stream, picture(scene, bands, WHOLE), format="png")
    return base64.b64encode(stream.getvalue()).decode()


def _facts(before: Scene, after: Scene) -> Iterator[tuple[str, str, str]]:
    """(what, of the one, of the other)."""
    for what, of in (
        ("file", lambda scene: str(scene.path)),
        ("format", lambda scene: scene.format),
        ("bands", lambda scene: str(scene.shape[0])),
        ("pixels", _size),
        ("type", lambda scene: str(scene.dtype)),
        ("wavelengths", _wavelengths),
        ("scale factor", _scale_factor),
        ("no-data value", lambda scene: "none" if scene.no_data is None else f"{scene.no_data:g}"),
        ("reference system", lambda scene: "none" if scene.crs is None else scene.crs.to_string()),
        ("upper left corner, pixel size", _place),
    ):  # fmt: skip
        yield what, of(before), of(after)


def _size(scene: Scene) -> str:
    return f"{scene.shape[1]} x {scene.shape[2]} pixels"


def _scale_factor(scene: Scene) -> str:
    return "gains and offsets of each band" if scene.gains is not None else f"{scene.scale_factor:g}"


def _wavelengths(scene: Scene) -> str:
    known = scene.wavelengths
    return "unknown" if known is None else f"{np.min(known):.0f} to {np.max(known):.0f} nm"


def _place(scene: Scene) -> str:
    t = scene.transform
    return "none" if t is None else f"{t.c:.10g}, {t.f:.10g}; {np.hypot(t.a, t.d):g} x {np.hypot(t.b, t.e):g}"
