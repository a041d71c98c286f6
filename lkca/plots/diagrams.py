"""Draw diagrams of LKCA-Net. Every shape, parameter and MAC is read from the modules of a network.

The wiring between the modules (sums, the bicubic skip) is drawn as the paper's Figures 2, 3 and 5 show it.
"""

import copy
from dataclasses import dataclass
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from lkca.cost import INPUT_SIZE, macs_by_module
from lkca.models.lkca import LKCANet
from lkca.plots.style import COLOURS, set_title
from lkca.rank import upsampler_matrix

FILLS = {
    "head": "#cfe3f5",
    "block": "#d9eedd",
    "attention": "#fbe7c2",
    "upsampler": "#f6d5c5",
    "plain": "#eeeeee",
}
TEXT = 7.5  # points
KD_COLOUR = COLOURS["lkca-kd"]


@dataclass(frozen=True)
class Observed:
    """Shapes and cost of one module in a forward pass.

    takes, gives : shapes of its first input and of its output, without the batch.
    params : number of its trainable values. macs : its multiply-accumulates.
    """

    takes: tuple[int, ...]
    gives: tuple[int, ...]
    params: int
    macs: int
    module: nn.Module

    @property
    def cost(self) -> str:
        """Parameters and MACs in words."""
        if not self.params:
            return "no parameters"
        return f"{_short(self.params)} params" + (f"\n{_short(self.macs)} MACs" if self.macs else "")


def observe(model: nn.Module, bands: int) -> dict[str, Observed]:
    """Return every module that an image (1, B, 16, 16) passes through, by name; "" is the whole model."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes[name] = tuple(inputs[0].shape[1:]), tuple(output.shape[1:])

    shapes_only = copy.deepcopy(model).to("meta").eval()  # computes shapes only
    # Weight normalisation is a module too, but no image passes through it.
    modules = {name: module for name, module in shapes_only.named_modules() if "parametrizations" not in name}
    for name, module in modules.items():
        module.register_forward_hook(partial(note, name))
    with torch.no_grad():
        shapes_only(torch.zeros(1, bands, INPUT_SIZE, INPUT_SIZE, device="meta"))
    macs = macs_by_module(model, bands)
    return {
        name: Observed(*shapes[name], sum(p.numel() for p in module.parameters()), macs.get(name, 0), module)
        for name, module in modules.items()
        if name in shapes
    }


def network(model: LKCANet, bands: int, title: str) -> Figure:
    """Draw the whole network: head, blocks, upsampler, and the bicubic image that is added (the paper's Figure 2)."""
    seen = observe(model, bands)
    count = len(model.body)
    figure, axis = _canvas(title)
    convolution, shuffle = seen["upsampler.0"], seen["upsampler.1"]
    flow = _Flow(axis, "LR image", seen[""].takes)
    flow.box(f"head\n{_convolution(seen['head'])}", seen["head"], "head")
    flow.box("block 1", seen["body.0"], "block")
    if count > 1:
        flow.dots(f"{count} blocks: {_short(seen['body'].params)} params, {_short(seen['body'].macs)} MACs")
        flow.box(f"block {count}", seen[f"body.{count - 1}"], "block")
    flow.box(f"upsampler\n{_convolution(convolution)}", convolution, "upsampler")
    flow.box(f"PixelShuffle\nx{shuffle.module.upscale_factor}", shuffle, "upsampler")
    flow.operator("+", seen[""].gives)
    flow.bend(0, f"bicubic x{model.scale}")
    flow.end("HR image")
    total = f"in all {_short(seen[''].params)} params, {_short(seen[''].macs)} MACs at this input"
    axis.text(flow.x, flow.y - 0.89, total, fontsize=TEXT, ha="right", va="top")
    return _fit(figure, axis)


def block(model: LKCANet, bands: int, title: str) -> Figure:
    """Draw a large-kernel block, and below it the attention inside it (the paper's Figure 3)."""
    everything = observe(model, bands)
    seen = {name.removeprefix("body.0."): what for name, what in everything.items() if name.startswith("body.0")}
    whole, attention = seen["body.0"], seen["attention"]
    figure, axis = _canvas(title)

    upper = _Flow(axis, "x", whole.takes, y=2.2)
    upper.box(f"project in\n{_convolution(seen['project_in'])}", seen["project_in"], "block")
    upper.box(type(seen["activation"].module).__name__, seen["activation"], "plain")
    upper.box("LKCA\n(below)", attention, "attention")
    upper.box(f"project out\n{_convolution(seen['project_out'])}", seen["project_out"], "block")
    scale, dropped = model.body[0].layer_scale.numel(), model.body[0].drop_path.probability
    upper.step(f"layer scale,\ndrop path {dropped:g}", f"{_short(scale)} params")
    upper.operator("+", whole.gives)
    upper.bend(0, "x")
    upper.end(f"block: {_short(whole.params)} params,\n{_short(whole.macs)} MACs")

    lower = _Flow(axis, "y", attention.takes)
    near, far = seen["attention.local"], seen["attention.distant"]
    lower.box(f"local\n{_convolution(near)}", near, "attention")
    lower.box(f"distant\n{_convolution(far)}", far, "attention")
    gate = seen["attention.channel_attention"]
    lower.operator("cat", gate.takes)
    lower.bend(1, "local", side=-1)
    lower.bend(0, "y", side=-1, rise=0.75)
    squeeze, widen = (seen[f"attention.channel_attention.weights.{i}"].module for i in (1, 3))
    widths = f"{squeeze.in_channels} → {squeeze.out_channels} → {widen.out_channels}"
    lower.box(f"channel attention\npool, 1x1, 1x1\n{widths}", gate, "attention")
    fuse = seen["attention.fuse"]
    lower.box(f"fuse\n{_convolution(fuse)}", fuse, "attention")
    lower.operator("×", attention.gives)
    lower.bend(0, "y")
    lower.end("LKCA(y)")
    return _fit(figure, axis)


def upsamplers(full: LKCANet, grouped: LKCANet, bands: int, title: str) -> Figure:
    """Draw the matrix of the upsampling convolution, full and in groups, non-zero weights dark (Figure 5)."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.9))
    set_title(figure, title)
    for axis, model, name in zip(axes, (full, grouped), ("LKCA-Net", "LKCA-LR"), strict=True):
        seen = observe(model, bands)
        convolution = seen["upsampler.0"]
        nonzero = (upsampler_matrix(model) != 0).numpy()
        axis.imshow(nonzero, cmap="Blues", vmin=0, vmax=1.4, aspect="auto", interpolation="antialiased")
        axis.grid(False)
        per_patch = convolution.module.kernel_size[0] * convolution.module.kernel_size[1]
        axis.set(
            xlabel=f"inputs: {convolution.takes[0]} features x {per_patch} pixels",
            ylabel=f"outputs: {bands} bands x {model.scale}² pixels",
            title=f"{name}: {_convolution(convolution).splitlines()[-1]}\n{_short(int(nonzero.sum()))} weights, "
            f"{convolution.cost.replace(chr(10), ', ')}",
        )
    return figure


def distillation(teacher: LKCANet, student: LKCANet, bands: int, title: str) -> Figure:
    """Draw teacher and student, and where they are compared: after PixelShuffle, before bicubic is added."""
    figure, axis = _canvas(title)
    for model, name, y in ((teacher, "teacher,\nfrozen", 2.9), (student, "student", 0.6)):
        seen = observe(model, bands)
        flow = _Flow(axis, name, seen[""].takes, y=y)
        flow.box(f"head\n{_convolution(seen['head'])}", seen["head"], "head")
        flow.box(f"{len(model.body)} blocks", seen["body"], "block")
        flow.box(f"upsampler, shuffle\n{_convolution(seen['upsampler.0'])}", seen["upsampler"], "upsampler")
        if model is teacher:
            flow.end("")
    flow.operator("+", seen[""].gives)
    flow.bend(0, f"bicubic x{student.scale}", side=-1, rise=0.6)
    flow.end("supervised loss:\nL1, SAM, gradient\nagainst the truth")
    x = flow.arrows[3] + flow.GAP / 2
    axis.annotate("", (x, 0.85), (x, 2.65), arrowprops={"arrowstyle": "<->", "color": KD_COLOUR, "lw": 1.6})
    loss = "distillation loss:\nL1, gradient and cosine\nbetween the two maps"
    axis.text(x + 0.12, 1.75, loss, fontsize=TEXT, color=KD_COLOUR, va="center")
    return _fit(figure, axis)


class _Flow:
    """A row of boxes from left to right, each arrow labelled with the shape of what flows along it."""

    WIDTH, HEIGHT, GAP = 1.3, 0.78, 0.72

    def __init__(self, axis: plt.Axes, name: str, shape: tuple[int, ...], y: float = 0.0) -> None:
        self.axis, self.y, self.shape = axis, y, shape
        self.arrows: list[float] = []  # where each arrow begins
        axis.text(0.6, y, name, fontsize=TEXT + 0.5, ha="right", va="center")
        self.x = 0.66

    def box(self, name: str, seen: Observed, fill: str) -> None:
        """Draw a module; raise ValueError if its input shape is not the previous output shape."""
        if seen.takes != self.shape:
            raise ValueError(f"{name!r} takes {seen.takes}, but the step before gives {self.shape}")
        self._box(name, seen.cost, FILLS[fill])
        self.shape = seen.gives

    def step(self, name: str, below: str) -> None:
        """Draw a step that is not a module and keeps the shape."""
        self._box(name, below, FILLS["plain"])

    def dots(self, text: str) -> None:
        """Draw an ellipsis in place of boxes, with a text below."""
        self._arrow(0.25)
        self._text(0.16, 0, "…", fontsize=14)
        self._text(0.16, -self.HEIGHT / 2 - 0.5, text, va="top")
        self.x += 0.32

    def operator(self, symbol: str, shape: tuple[int, ...]) -> None:
        """Draw a circle in which several arrows meet. shape : of its output."""
        self._arrow(self.GAP)
        self._text(0.19, 0, symbol, bbox={"boxstyle": "circle,pad=0.25", "fc": "white", "ec": "0.25"})
        self.x += 0.38
        self.shape = shape

    def bend(self, arrow: int, name: str, side: int = 1, rise: float = 0.2) -> None:
        """Draw a bent arrow from an earlier arrow to the last operator, above (side 1) or below (-1) the boxes."""
        far = self.y + side * (self.HEIGHT / 2 + rise + (0.25 if side < 0 else 0))  # the costs are written below
        begin, finish = self.arrows[arrow] + 0.06, self.x - 0.19
        self.axis.plot([begin, begin, finish], [self.y, far, far], color="0.25", lw=1.1)
        self.axis.annotate("", (finish, self.y + side * 0.2), (finish, far), arrowprops=_ARROW)
        place = {"ha": "center", "va": "bottom" if side > 0 else "top", "fontsize": TEXT}
        self.axis.text((begin + finish) / 2, far + side * 0.05, name, **place)

    def end(self, name: str) -> None:
        """Draw the last arrow, and the name at its end."""
        self._arrow(self.GAP)
        self.axis.text(self.x + 0.06, self.y, name, fontsize=TEXT + 0.5, va="center")
        self.x += 1.25 if name else 0

    def _box(self, name: str, below: str, fill: str) -> None:
        self._arrow(self.GAP)
        corner = (self.x, self.y - self.HEIGHT / 2)
        style = "round,pad=0,rounding_size=0.08"
        self.axis.add_patch(FancyBboxPatch(corner, self.WIDTH, self.HEIGHT, boxstyle=style, fc=fill, ec="0.25"))
        self._text(self.WIDTH / 2, 0, name)
        self._text(self.WIDTH / 2, -self.HEIGHT / 2 - 0.06, below, va="top", fontsize=TEXT - 1, color="0.3")
        self.x += self.WIDTH

    def _arrow(self, length: float) -> None:
        self.arrows.append(self.x)
        self.axis.annotate("", (self.x + length, self.y), (self.x, self.y), arrowprops=_ARROW)
        if length == self.GAP:
            channels, *image = self.shape
            self._text(length / 2, 0.04, f"{channels}", va="bottom", fontsize=TEXT - 1)
            self._text(length / 2, -0.05, "x".join(map(str, image)), va="top", fontsize=TEXT - 1)
        self.x += length

    def _text(self, right: float, up: float, text: str, **style: object) -> None:
        style = {"ha": "center", "va": "center", "fontsize": TEXT} | style
        self.axis.text(self.x + right, self.y + up, text, **style)


_ARROW = {"arrowstyle": "-|>", "color": "0.25", "lw": 1.1, "shrinkA": 0, "shrinkB": 0}


def _canvas(title: str) -> tuple[Figure, plt.Axes]:
    figure, axis = plt.subplots()
    set_title(figure, title)
    axis.set_aspect("equal")
    axis.axis("off")
    return figure, axis


def _fit(figure: Figure, axis: plt.Axes) -> Figure:
    """Fit the figure to its content, so that the size of text relative to boxes is constant."""
    places = [text.get_position() for text in axis.texts if text.get_text()]
    across, up = (np.array(places) for places in zip(*places, strict=True))
    left, right, low, high = across.min() - 0.6, across.max() + 1.1, up.min() - 0.4, up.max() + 0.4
    axis.set(xlim=(left, right), ylim=(low, high))
    figure.set_size_inches(0.88 * (right - left), 0.88 * (high - low) + 0.35)
    return figure


def _convolution(seen: Observed) -> str:
    """Describe a convolution by its own settings."""
    layer = seen.module
    depthwise = layer.groups == layer.in_channels
    text = f"{layer.kernel_size[0]}x{layer.kernel_size[1]}"
    if layer.dilation[0] > 1:
        text += f", dilation {layer.dilation[0]}"
    if depthwise:
        return f"{text}\ndepthwise"
    text += f" {layer.in_channels} → {layer.out_channels}"
    return text + (f"\n{layer.groups} groups" if layer.groups > 1 else "")


def _short(number: int) -> str:
    """Return a number in short: 1,234 as "1.23 k", 1,234,567 as "1.23 M"."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return str(number)
