"""What bounds LKCA-Net and LKCA-LR on a CPU: a roofline of their layers.

    python benchmarks/bench_layers.py [--csv results/bench_layers.csv]

Every kind of layer is timed alone on one image of 32x32 LR pixels, 128 bands, x4, folded and accelerated, float32. No
layer can be faster than its MACs at the rate of matrix products, nor than its inputs, weights and outputs at the rate
of copying: the longer of the two times bounds it. Both rates are measured in the same turns. A time is the shortest of
many, so that other work on the machine hardly counts. Needs no data.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from timing import matrix_product, show, take_turns
from torch import Tensor, nn

from lkca.fast import accelerate, fold
from lkca.models import MODELS, build_model
from lkca.resize import resize

BANDS, SCALE, SIZE = 128, 4, 32
CACHED = 4e6  # bytes up to which a layer is compared with the rate of copying within the cache
FLOAT = 4  # bytes
CPU = torch.device("cpu")


def find_layers(model: nn.Module) -> dict[str, tuple[int, Callable[[], object], float, float]]:
    """Return, by kind of layer: how many the network has, a call that runs one, its MACs, the least bytes it moves."""
    lr = torch.rand(1, BANDS, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    y = model.head(lr)
    one, block, blocks = _bytes(y), model.body[0], len(model.body)
    attention, upsampling = block.attention, model.upsampler[0]
    before_shuffle, image = upsampling(y), resize(lr, SCALE)
    by_matrices = SIZE**2 * SCALE * SIZE * BANDS * (1 + SCALE)  # MACs of bicubic as two matrix products

    def convolution(times: int, layer: nn.Conv2d, x: Tensor, output: float) -> tuple:
        return times, partial(layer, x), SIZE**2 * layer.weight.numel(), _bytes(x, layer.weight) + output

    whole = convolution(blocks, attention.fuse, torch.cat([y, y, y], dim=1), one)
    parts = [attention.local, attention.distant]
    return {
        "head 3x3": convolution(1, model.head, lr, one),
        "project in 1x1": convolution(blocks, block.project_in, y, one),
        "GELU": (blocks, partial(block.activation, y), 0, 2 * one),
        "local 5x5, depthwise": convolution(blocks, attention.local, y, one),
        "distant 7x7, dilation 3, depthwise": convolution(blocks, attention.distant, y, one),
        "whole attention, with local, distant, fuse": (
            blocks,
            partial(attention, y),
            whole[2] + sum(SIZE**2 * part.weight.numel() for part in parts),
            10 * one,
        ),
        "project out 1x1": convolution(blocks, block.project_out, y, one),
        "upsampler 3x3": convolution(1, upsampling, y, _bytes(before_shuffle)),
        "PixelShuffle": (1, partial(model.upsampler[-1], before_shuffle), 0, 2 * _bytes(image)),
        "bicubic": (1, partial(resize, lr, SCALE), by_matrices, _bytes(lr, image)),
        "whole network": (1, partial(model, lr), 0, 0),
    }


def _bytes(*tensors: Tensor) -> float:
    return sum(tensor.numel() for tensor in tensors) * FLOAT


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--csv", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    large, small = torch.rand(1, BANDS, 128, 128), torch.rand(1, 128, SIZE, SIZE)
    copies = {"memory": (large, torch.empty_like(large)), "cache": (small, torch.empty_like(small))}
    product, product_macs = matrix_product(CPU, 512)
    passes = {"product": product} | {name: partial(to.copy_, source) for name, (source, to) in copies.items()}
    layers = {}
    for name in ("lkca-lr", "lkca"):
        torch.manual_seed(0)
        model = accelerate(fold(build_model(name, BANDS, SCALE, blocks=arguments.blocks)))
        layers |= {(MODELS[name].label, layer): facts for layer, facts in find_layers(model).items()}
    passes |= {key: facts[1] for key, facts in layers.items()}
    fastest = {key: min(times) for key, times in take_turns(passes, CPU, arguments.rounds, repeats=4).items()}
    macs_rate = product_macs / fastest["product"]
    copy_rates = {name: 2 * _bytes(source) / fastest[name] for name, (source, _) in copies.items()}
    rows = []
    for (label, layer), (times, _, macs, moved) in layers.items():
        computing, moving = macs / macs_rate, moved / copy_rates["cache" if moved < CACHED else "memory"]
        row = {"model": label, "layer": layer, "times": times, "MMACs": times * macs / 1e6, "MB": times * moved / 1e6}
        row |= {"milliseconds": 1e3 * times * fastest[label, layer]}
        row |= {"least milliseconds": 1e3 * times * max(computing, moving)}
        rows.append(row | {"bound": "MACs" if computing > moving else "bytes"})
    rates = {"GMAC/s of products": macs_rate / 1e9} | {f"GB/s of {n}": rate / 1e9 for n, rate in copy_rates.items()}
    show(pd.DataFrame(rows).assign(**rates), arguments.csv, CPU)


if __name__ == "__main__":
    main()
