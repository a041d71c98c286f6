"""A static site of a profile's results: the executed notebooks as pages, and a front page of all tables and figures."""

import html
import shutil
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lkca.batch.plan import make_plan
from lkca.paths import figures_folder, results_folder, write_text
from lkca.studies.catalogue import STUDIES
from lkca.studies.profiles import find_profile

# What notebooks write is named after the paper's tables and figures where it has them.
NAMES = {
    "block_count": ("table_1",),
    "distillation": ("table_2", "table_3", "table_4"),
    "benchmark": ("table_5", "table_6", "table_7", "quality_against_cost"),
    "upsampler_svd": ("figure_4",),
    "visual": ("figure_6", "figure_7", "figure_8"),
}
OWN = ".files-of-this-report"  # in site/: what may be removed again
# nbconvert's page without the scripts that it would load from the internet; tables and figures need none.
PAGE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>
main { max-width: 75rem; margin: 0 auto; padding: 0 1rem }
img { max-width: 100% }
.jp-MarkdownOutput { overflow-x: auto }
</style>{% endblock %}"""


def make_report(profile: str) -> Path:
    """Write site/ of a profile's executed notebooks, tables and figures; its front page.

    Raises
    ------
    ValueError
        If there is no such profile.
    FileNotFoundError
        If none of its notebooks has been executed.
    FileExistsError
        If site/ holds something, and was not made here.
    """
    plan = make_plan("all", profile)
    names = sorted(plan.notebooks, key=lambda name: name not in STUDIES)  # the studies first
    executed = {name: plan.executed(name) for name in names if plan.executed(name).is_file()}
    if not executed:
        raise FileNotFoundError(
            f"no executed notebook in {plan.executed('').parent}: do the study first, or redraw its figures"
        )
    site = results_folder().parent / "site"
    # of the profile's studies, and of the notebooks that no profile changes, each in a folder of its own
    folders = [profile, *(name for name in executed if name not in STUDIES)]
    tables = [path for name in folders for path in sorted((results_folder() / name).glob("*.md"))]
    figures = [path for name in folders for path in sorted((figures_folder() / name).glob("*.png"))]
    copies = {figure: site / "figures" / figure.parent.name / figure.name for figure in figures}
    _make_room(site, [*(site / f"{name}.html" for name in (*executed, "index")), *copies.values()])
    headings = {}
    for name, path in executed.items():
        notebook = nbformat.read(path, as_version=4)
        headings[name] = _heading(notebook) or name
        back = nbformat.v4.new_markdown_cell(f"[All results](index.html) of profile `{profile}`")
        notebook.cells.insert(0, back)
        _write_page(site / f"{name}.html", notebook, headings[name])
    for figure, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(figure, copy)
    missing = [name for name in plan.notebooks if name not in executed]
    front = nbformat.v4.new_notebook()
    front.cells = [nbformat.v4.new_markdown_cell(text) for text in _front(profile, headings, missing, tables, figures)]
    _write_page(site / "index.html", front, f"Results of profile {profile}")
    return site / "index.html"


def _make_room(site: Path, pages: Iterable[Path]) -> None:
    """Remove what an earlier report wrote, and nothing else; note what this one is going to write."""
    noted = site / OWN
    old = noted.read_text(encoding="utf-8").splitlines() if noted.is_file() else []
    if not noted.is_file() and site.exists() and (not site.is_dir() or any(site.iterdir())):
        raise FileExistsError(f"{site} was not made by a report: move it away, or set LKCA_OUTPUT to another folder")
    new = [str(page.relative_to(site)) for page in pages]
    write_text(noted, "\n".join(sorted({*old, *new})) + "\n")  # both, before anything is done: a kill leaves no orphans
    for name in old:
        path = site / name
        if path.resolve().is_relative_to(site.resolve()):
            path.unlink(missing_ok=True)
    write_text(noted, "\n".join(new) + "\n")


def _as_text(table: str) -> str:
    """A table's Markdown with its cells as text: only the underlining of `lkca.tables` stays HTML."""
    return html.escape(table, quote=False).replace("&lt;u&gt;", "<u>").replace("&lt;/u&gt;", "</u>")


def _front(
    profile: str, headings: dict[str, str], missing: list[str], tables: list[Path], figures: list[Path]
) -> Iterable[str]:
    """The front page's cells: what it is, the notebooks, then what each made."""
    yield f"# Results of profile `{profile}`\n\n**{find_profile(profile).title}**"
    yield "\n".join(f"- [{heading}]({name}.html)" for name, heading in headings.items())
    if missing:
        yield f"Not executed yet: {', '.join(missing)}."
    owners = {path: _owner(path, headings) for path in (*tables, *figures)}
    for name in (*headings, None):
        mine = [path for path, owner in owners.items() if owner == name]
        if not mine:
            continue
        title = STUDIES[name].title if name in STUDIES else headings.get(name, "more")
        parts = [f"## {title[0].upper()}{title[1:]}"]
        if name is not None:
            parts.append(f"[The notebook]({name}.html)")
        for path in mine:
            label = path.stem.replace("_", " ")
            text = (
                f"![{label}](figures/{path.parent.name}/{path.name})"
                if path.suffix == ".png"
                else _as_text(path.read_text(encoding="utf-8"))
            )
            parts.append(f"### {label}\n\n{text}")
        yield "\n\n".join(parts)


def _owner(path: Path, notebooks: Iterable[str]) -> str | None:
    """The notebook that the file's folder is named after, or whose files have names that begin like this one's."""
    owners = [n for n in notebooks if path.parent.name == n or path.stem.startswith((n, *NAMES.get(n, ())))]
    return max(owners, key=len, default=None)  # upsamplers_elsewhere_table is not of upsamplers


def _heading(notebook: NotebookNode) -> str | None:
    lines = (line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line[2:].strip() for line in lines if line.startswith("# ")), None)


def _write_page(path: Path, notebook: NotebookNode, title: str) -> None:
    from nbconvert import HTMLExporter  # slow to import, and every other command does without

    notebook.metadata["title"] = title
    page, _ = HTMLExporter(raw_template=PAGE, exclude_input_prompt=True, exclude_output_prompt=True).from_notebook_node(
        notebook
    )
    write_text(path, page)
