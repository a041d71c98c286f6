"""Where the time of LKCA-Net and LKCA-LR goes, layer by layer, and what bounds it: a roofline.

    python benchmarks/bench_layers.py [--csv results/bench_layers.csv]

Every kind of layer is timed alone, at one image of 32x32 LR pixels, 128 bands, x4, in eager float32 with folded
weights. Beside it stand its MACs and the bytes that it must read and write at least (inputs, weights, outputs, once
each). The machine's own rate of matrix products and of copying are measured in the same turns; copying both of a map of
features, which stays in the cache, and of an HR image, which does not. No layer can take less time than its MACs at the
one rate and its bytes at the other: the longer of the two is what bounds it. A time is the shortest of many: what the
machine can do, not what else it does meanwhile. Needs no data.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

import lkca
from lkca.models.folding import folded
from lkca.models.lkca import AttendedFusion, LKCANet, add_enlarged
from lkca.paths import write_text
from lkca.studies.turns import take_turns
from lkca.training.provenance import provenance

NETWORKS = {"lkca-lr": "LKCA-LR", "lkca": "LKCA-Net"}
BANDS, SCALE, SIZE = 128, 4, 32
PRODUCT = 512  # side of the matrices whose product is the machine's own rate: as short as a layer
CACHED = 4e6  # bytes up to which a layer is held to the rate of copying within the cache
FLOAT = 4  # bytes
TRACE = ("device", "cpu", "threads", "torch", "commit", "started")


@dataclass(frozen=True)
class Layer:
    """A kind of layer: how often the network has it, what it does, its MACs and least bytes, each time."""

    name: str
    times: int
    work: Callable[[], object]
    macs: float
    bytes: float


def conv_macs(conv: nn.Conv2d, pixels: int) -> float:
    return pixels * conv.weight.numel()


def size(*tensors: Tensor) -> float:
    return sum(tensor.numel() for tensor in tensors) * FLOAT


def layers(model: LKCANet) -> list[Layer]:
    """What a folded network consists of, each with an input of its own."""
    channels, pixels, blocks = model.head.out_channels, SIZE**2, len(model.body)
    block = model.body[0]
    attention, upsampling = block.attention, model.upsampler[0]

    def features() -> Tensor:
        return torch.rand(1, channels, SIZE, SIZE).contiguous(memory_format=torch.channels_last)

    lr = torch.rand(1, BANDS, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    x, y, near, far = features(), features(), features(), features()
    one = size(x)
    hr = lkca.resize(lr, SCALE)
    before_shuffle = upsampling(x)
    shuffle = nn.Sequential(nn.Identity(), model.upsampler[-1])

    def attended() -> Tensor:
        means = torch.cat([part.mean(dim=(2, 3), keepdim=True) for part in (y, near, far)], dim=1)
        return AttendedFusion(attention.fuse, attention.channel_attention.factors(means))((y, near, far)).mul_(y)

    def convolution(name: str, times: int, conv: nn.Conv2d, source: Tensor, target: float) -> Layer:
        moved = size(source, conv.weight) + target
        return Layer(name, times, lambda: conv(source), conv_macs(conv, pixels), moved)

    resizing = SIZE**2 * SCALE * SIZE * BANDS * (1 + SCALE)  # as products of whole matrices
    return [
        convolution("head 3x3", 1, model.head, lr, one),
        convolution("project in 1x1", blocks, block.project_in, x, one),
        Layer("GELU", blocks, lambda: block.activation(x), 0, 2 * one),
        convolution("local 5x5, depthwise", blocks, attention.local, y, one),
        convolution("distant 7x7, dilation 3, depthwise", blocks, attention.distant, near, one),
        Layer("attention, fusion 1x1", blocks, attended, conv_macs(attention.fuse, pixels), 4 * one),
        convolution("project out 1x1", blocks, block.project_out, y, one),
        Layer("block's sum", blocks, lambda: torch.addcmul(x, y, block.layer_scale), 0, 3 * one),
        convolution("upsampler 3x3", 1, upsampling, x, size(before_shuffle)),
        Layer("PixelShuffle, sum", 1, lambda: add_enlarged(shuffle, before_shuffle, hr), 0, 3 * size(hr)),
        Layer("bicubic", 1, lambda: lkca.resize(lr, SCALE), resizing, size(lr, hr)),
    ]


@torch.inference_mode()
def roofline(turns: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """A row for each network and kind of layer, and the rates that they are held against."""
    matrix, hr, small = torch.rand(PRODUCT, PRODUCT), torch.rand(1, BANDS, 128, 128), torch.rand(1, 128, SIZE, SIZE)
    targets = torch.empty_like(hr), torch.empty_like(small)
    machine = [lambda: matrix @ matrix, lambda: targets[0].copy_(hr), lambda: targets[1].copy_(small)]
    works, found = list(machine), []
    for name, label in NETWORKS.items():
        torch.manual_seed(0)
        model = folded(lkca.build_model(name, BANDS, SCALE))
        image = torch.rand(1, BANDS, SIZE, SIZE)
        found += [(label, layer) for layer in layers(model)]
        works += [layer.work for given, layer in found if given == label]
        found.append((label, Layer("whole network", 1, lambda m=model, x=image: m(x), 0, 0)))
        works.append(found[-1][1].work)
    times = [min(taken) for taken in take_turns(works, torch.device("cpu"), turns, in_a_row=[5] * len(works))]
    rates = {
        "product": PRODUCT**3 / times[0],  # MACs a second
        "memory": 2 * size(hr) / times[1],  # bytes a second, read and written
        "cache": 2 * size(small) / times[2],
    }
    table = pd.DataFrame([row(label, layer, t, rates) for (label, layer), t in zip(found, times[3:], strict=True)])
    return summed(table), rates


def row(label: str, layer: Layer, seconds: float, rates: dict[str, float]) -> dict[str, object]:
    copying = rates["cache" if layer.bytes < CACHED else "memory"]
    computing, moving = layer.macs / rates["product"], layer.bytes / copying
    return {
        "model": label,
        "layer": layer.name,
        "times": layer.times,
        "MMACs": layer.times * layer.macs / 1e6,
        "MB": layer.times * layer.bytes / 1e6,
        "milliseconds": 1e3 * layer.times * seconds,
        "of the matrix rate": computing / seconds,
        "of the copy rate": moving / seconds,
        "bound": "MACs" if computing > moving else "bytes",
        "least milliseconds": 1e3 * layer.times * max(computing, moving),
    }


def summed(table: pd.DataFrame) -> pd.DataFrame:
    """With a row of sums before each row of the whole network, whose MACs, bytes and least time they are."""
    parts = []
    for label, rows in table.groupby("model", sort=False):
        rows, whole = rows.iloc[:-1], rows.iloc[-1:].copy()
        total = rows[["MMACs", "MB", "milliseconds", "least milliseconds"]].sum()
        for column in ("MMACs", "MB", "least milliseconds"):
            whole[column] = total[column]
        alone = total["milliseconds"]
        per_mac = (rows["of the matrix rate"] * rows["milliseconds"]).sum()  # milliseconds of its MACs at that rate
        whole["of the matrix rate"] = per_mac / whole["milliseconds"]
        total_row = {"model": label, "layer": "sum of the layers", "times": 1} | total.to_dict()
        total_row |= {"of the matrix rate": per_mac / alone}
        parts += [rows, pd.DataFrame([total_row]), whole.assign(**{"of the copy rate": None, "bound": None})]
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--csv", type=Path, help="also write the table there")
    given = parser.parse_args()
    trace = {name: value for name, value in provenance(torch.device("cpu")).items() if name in TRACE}
    table, rates = roofline(given.turns)
    print(
        f"matrix products {rates['product'] / 1e9:.1f} GMAC/s; copies, read and written: of a map of features (in the "
        f"cache) {rates['cache'] / 1e9:.1f} GB/s, of an HR image {rates['memory'] / 1e9:.1f} GB/s"
    )
    print(table.round(2).to_string(index=False, na_rep=""))
    if given.csv:
        rated = {f"{name} rate": round(rate / 1e9, 2) for name, rate in rates.items()}
        write_text(given.csv, table.round(4).assign(**rated, **trace).to_csv(index=False))


if __name__ == "__main__":
    main()
