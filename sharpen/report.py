"""Write a report page on a sharpened scene: what was read and written, pictures before and after, numbers, warnings.

The page is a single file: pictures are embedded, and nothing is loaded from elsewhere.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import lkca
from lkca.files import expand, write_text
from sharpen.pictures import png
from sharpen.scene.io import open_scene

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ name }}, sharpened</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #ddd }
td { overflow-wrap: anywhere }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
figure { margin: 0 } img { width: 100%; image-rendering: pixelated; border: 1px solid #ccc }
.warning { border-left: 4px solid #b3541e; background: #fbf1ea; padding: .4rem .8rem; margin: .5rem 0 }
footer { margin-top: 2rem; color: #666; font-size: .85rem }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr } }
</style></head><body>
<h1>{{ name }}, sharpened x{{ scale }}</h1>
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
<ul>{% for line in lines %}<li>{{ line }}</li>
{% endfor %}</ul>
<footer>sharpen {{ version }}, {{ method }}. Each picture is stretched from its 2nd to its 98th percentile; pixels
without data are grey.</footer>
</body></html>
"""


@dataclass(frozen=True)
class Sharpened:
    """The result of sharpening a file.

    path : the new file. shape : (B, r·H, r·W). dtype : of the file: that of the input, but float32 for float16.
    bands : indices of the sharpened bands; the others have no data in the new file.
    no_data : pixels without data. clipped : values that did not fit the dtype and were set to its limit.
    out_of_range : values outside the range that their band has in the input; max_excess : by how much at most, as a
    share of that range. clamped : values that a network put too far from the LR pixels around them, set to the limit.
    lines : the log. remarks : warnings about added texture. seconds : in total. peak_memory : of this process, bytes.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    bands: tuple[int, ...]
    no_data: int
    clipped: int
    out_of_range: int
    max_excess: float
    clamped: int
    lines: tuple[str, ...]
    remarks: tuple[str, ...]
    seconds: float
    peak_memory: int


def check_page(page: str | Path, overwrite: bool) -> Path:
    """Return the path of a page that may be written.

    Raises
    ------
    ValueError, FileExistsError, FileNotFoundError
        If its suffix is not .html or .htm, it exists and must not be replaced, or there is no such folder.
    """
    path = expand(page)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report {path}: name a page such as page.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--report {path}: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"--report {path} exists: choose another name, or give --overwrite")
    return path


def write_page(
    path: Path,
    scene: xr.DataArray,
    result: Sharpened,
    pairs: Mapping[str, Mapping[str, NDArray[np.float64]]],
    method: str,
    warned: Sequence[str],
) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    scene : as it was read. result : of sharpening it. pairs : pictures by title and by what they show.
    method : its name. warned : warnings to show.
    """
    import jinja2  # takes a fifth of a second to import, and few runs write a page

    before, after = facts(scene), facts(open_scene(result.path))
    data = {title: {what: _base64(image) for what, image in both.items()} for title, both in pairs.items()}
    text = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(PAGE).render(
        name=Path(scene.attrs["source"]).name, scale=result.shape[1] // scene.sizes["y"], warned=warned,
        pairs=data,
        facts=[(what, before[what], after[what]) for what in before], lines=result.lines, method=method,
        version=lkca.__version__,
    )  # fmt: skip
    write_text(path, text)


def facts(scene: xr.DataArray) -> dict[str, str]:
    """Return a scene's properties as text, by name."""
    count, height, width = (scene.sizes[name] for name in ("band", "y", "x"))
    spectrum = scene.coords["wavelength"].values if "wavelength" in scene.coords else None
    bad = int((~scene.coords["good_band"].values).sum()) if "good_band" in scene.coords else 0
    factor, offset = scene.attrs.get("scale_factor", 1.0), scene.attrs.get("add_offset", 0.0)
    where, crs, no_data = scene.rio.transform(), scene.rio.crs, scene.rio.nodata
    has_place = crs is not None or not where.is_identity
    value = f"number x {factor:g}" + (f" + {offset:g}" if offset else "")
    missing = "none" if no_data is None else f"{no_data:g}"
    return {
        "file": str(scene.attrs.get("source")),
        "bands": f"{count}, {bad} of them marked as bad" if bad else str(count),
        "pixels": f"{height} x {width} pixels",
        "type": str(scene.dtype),
        "wavelengths": "unknown" if spectrum is None else f"{spectrum.min():.0f} to {spectrum.max():.0f} nm",
        "value": "gain and offset of each band" if "gain" in scene.coords else value,
        "no-data value": "one for each band" if "no_data" in scene.coords else missing,
        "mask": str(scene.attrs.get("mask", "none")),
        "reference system": "none" if crs is None else crs.to_string(),
        "upper left corner": f"{where.c:.10g}, {where.f:.10g}" if has_place else "none",
        "pixel size": f"{np.hypot(where.a, where.d):g} x {np.hypot(where.b, where.e):g}" if has_place else "none",
    }


def _base64(image: NDArray[np.float64]) -> str:
    return base64.b64encode(png(image)).decode()
