"""Patches: what is cut, from where, in which order; what validates never touches what trains."""

from collections import Counter

import numpy as np
import pytest
import torch

from lkca.data.dataset import SyntheticScenes
from lkca.data.patches import STREAM_SCENES, Patches, PatchStream, split_patches
from lkca.data.split import Area
from lkca.resize import symmetry

CPU = torch.device("cpu")


def area(height: int, width: int, bands: int = 3, first: int = 0, no_data: np.ndarray | None = None) -> Area:
    """Every value is its own, so a patch says where it comes from."""
    values = np.arange(first, first + bands * height * width, dtype=np.float32)
    return Area(f"area from {first}", values.reshape(bands, height, width), no_data)


def pixels(patches: Patches) -> set[tuple[int, int, int]]:
    """(area, row, column) of every pixel of every patch."""
    return {
        (a, y, x)
        for a, top, left in patches.positions.tolist()
        for y in range(top, top + patches.size)
        for x in range(left, left + patches.size)
    }


def first_values(batch: torch.Tensor) -> list[float]:
    """What identifies a patch whatever its symmetry: its smallest value."""
    return batch.amin(dim=(1, 2, 3)).tolist()


def test_a_patch_is_a_slice_of_its_area() -> None:
    areas = [area(20, 14), area(9, 30, first=10_000)]
    for patches in split_patches(areas, size=6, stride=4, validation="paper"):
        cut = patches.cut(range(len(patches)))
        assert cut.shape == (len(patches), 3, 6, 6)
        for patch, (a, top, left) in zip(cut, patches.positions, strict=True):
            assert np.array_equal(patch.numpy(), areas[a].cube[:, top : top + 6, left : left + 6])
            assert patches.cubes[a].data_ptr() == areas[a].cube.ctypes.data  # no copy is made


@pytest.mark.parametrize("batch", [1, 4, 7, 1000])
def test_epoch_covers_every_patch_once(batch: int) -> None:
    trained, _ = split_patches([area(30, 20), area(25, 25, first=5_000)], size=6, stride=4)
    batches = list(trained.epoch(batch, np.random.default_rng(0), CPU))
    assert {len(b) for b in batches[:-1]} <= {batch} and 0 < len(batches[-1]) <= batch
    found = Counter(value for b in batches for value in first_values(b))
    assert found == Counter(first_values(trained.cut(range(len(trained))))) and set(found.values()) == {1}


def test_epoch_depends_on_the_generator_alone() -> None:
    trained, _ = split_patches([area(40, 40)], size=6, stride=3)

    def run(seed: int, device: torch.device = CPU) -> list[torch.Tensor]:
        return list(trained.epoch(5, np.random.default_rng(seed), device))

    assert all(torch.equal(a, b) for a, b in zip(run(1), run(1), strict=True))
    assert first_values(run(1)[0]) != first_values(run(2)[0])
    order = [value for b in run(1) for value in first_values(b)]
    assert order != sorted(order)
    elsewhere = run(1, torch.device("meta"))  # cut ahead in a thread
    assert [b.shape for b in elsewhere] == [b.shape for b in run(1)]


def test_epoch_uses_all_symmetries() -> None:
    trained, _ = split_patches([area(60, 60)], size=6, stride=3)
    everything = trained.cut(range(len(trained)))
    plain = dict(zip(first_values(everything), everything, strict=True))
    seen = Counter()
    for batch in trained.epoch(16, np.random.default_rng(0), CPU):
        for value, patch in zip(first_values(batch), batch, strict=True):
            seen[next(s for s in range(8) if torch.equal(symmetry(plain[value], s), patch))] += 1
    assert set(seen) == set(range(8)) and min(seen.values()) > sum(seen.values()) / 16


@pytest.mark.parametrize("validation", ["disjoint", "paper"])
def test_no_data_is_in_no_patch(validation: str) -> None:
    no_data = np.random.default_rng(0).random((40, 30)) < 0.01
    no_data[:, 29] = no_data[0] = True
    trained, held_out = split_patches([area(40, 30, no_data=no_data)], size=5, stride=2, validation=validation)
    bad = {(0, int(y), int(x)) for y, x in np.argwhere(no_data)}
    assert not pixels(trained) & bad and not pixels(held_out) & bad
    if validation == "paper":  # and nothing else is lost
        free = {(0, y, x) for y in range(0, 36, 2) for x in range(0, 26, 2) if not no_data[y : y + 5, x : x + 5].any()}
        assert {tuple(p) for p in np.concatenate([trained.positions, held_out.positions]).tolist()} == free


@pytest.mark.parametrize("shapes", [[(40, 30)], [(30, 41)], [(20, 20), (35, 22), (18, 30)], [(20, 20)] * 20])
@pytest.mark.parametrize(("size", "stride"), [(6, 1), (6, 4), (8, 3), (8, 8)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_disjoint_shares_no_pixel(shapes: list[tuple[int, int]], size: int, stride: int, share: float) -> None:
    areas = [area(h, w, first=i * 10_000) for i, (h, w) in enumerate(shapes)]
    trained, held_out = split_patches(areas, size, stride, "disjoint", share)
    assert not pixels(trained) & pixels(held_out)
    largest = int(np.argmax([h * w for h, w in shapes]))
    assert set(held_out.positions[:, 0].tolist()) == {largest}
    total = sum(h * w for h, w in shapes)
    # the strip: about the share, but at least a patch wide and at most the whole largest area
    side, breadth = max(shapes[largest]), min(shapes[largest])
    width = min(max(size, share * total / breadth), side)
    assert len(pixels(held_out)) <= (width + 1) * breadth
    # nothing is lost but what touches the strip
    everything = sum(((h - size) // stride + 1) * ((w - size) // stride + 1) for h, w in shapes)
    rows = (breadth - size) // stride + 1
    assert everything - len(trained) <= rows * (width / stride + size / stride + 2)


def test_paper_validation_draws_its_share_by_seed() -> None:
    areas = [area(40, 30), area(30, 30, first=10_000)]
    trained, held_out = split_patches(areas, 6, 2, "paper", 0.1, seed=3)
    both = [tuple(p) for p in np.concatenate([trained.positions, held_out.positions]).tolist()]
    assert len(both) == len(set(both)) and len(held_out) == round(0.1 * len(both))
    again, other = (split_patches(areas, 6, 2, "paper", 0.1, seed=seed)[1].positions for seed in (3, 4))
    assert np.array_equal(again, held_out.positions) and not np.array_equal(other, held_out.positions)
    assert pixels(trained) & pixels(held_out)  # the leak that "disjoint" avoids


FAR_HOLE = np.arange(40)[:, None].repeat(20, axis=1) >= 30


@pytest.mark.parametrize(
    ("areas", "settings", "message"),
    [
        ([area(20, 20)], {"validation": "random"}, "validation must be one of disjoint, paper, got 'random'"),
        ([area(5, 20), area(20, 5)], {}, r"no 6x6 patch .* \(area from 0 5x20, area from 0 20x5\)"),
        ([area(20, 20, no_data=np.ones((20, 20), bool))], {}, "no 6x6 patch without no-data"),
        ([area(6, 6)], {"validation": "paper"}, "of 1 patches .* leaves 0 to train on and 1 to validate on"),
        ([area(8, 8)], {"validation": "disjoint"}, "leaves 0 to train on"),
        ([area(40, 20, no_data=FAR_HOLE)], {"validation": "disjoint"}, "and 0 to validate on"),
    ],
)
def test_refusals(areas: list[Area], settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_patches(areas, 6, 2, **settings)


# --- generated on the fly


def stream(seed: int = 0) -> PatchStream:
    return PatchStream(SyntheticScenes(48, 8, test_seeds=(0,)), size=32, count=12, seed=seed)


def test_scenes_of_a_stream_train_for_a_few_epochs_and_never_again() -> None:
    patches = stream()
    first, second = patches.of_epoch(0), patches.of_epoch(1)
    later = patches.of_epoch(STREAM_SCENES)
    assert torch.equal(second.cubes[0], first.cubes[1]) and len(second.cubes) == STREAM_SCENES
    assert not any(torch.equal(old, new) for old in first.cubes for new in later.cubes)
    assert not np.array_equal(first.positions, second.positions)
    assert (first.positions[:, 1:] >= 0).all() and (first.positions[:, 1:] + 32 <= 48).all() and len(first) == 12


def test_a_stream_depends_on_seed_and_epoch_alone() -> None:
    resumed, whole, other = stream(), stream(), stream(seed=1)
    whole.of_epoch(1)
    one, two, three = resumed.of_epoch(2), whole.of_epoch(2), other.of_epoch(2)
    assert np.array_equal(one.positions, two.positions)
    assert all(torch.equal(a, b) for a, b in zip(one.cubes, two.cubes, strict=True))
    assert not any(torch.equal(a, b) for a in one.cubes for b in three.cubes)
