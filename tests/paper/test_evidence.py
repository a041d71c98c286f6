"""Paired differences, and when a table may decide."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lkca.paper.evidence import by_place, by_seed, count_failed, difference, gain_of_longer, read_results, unfit
from tests.paper.results_made import run, write

VALUES = [0.11, -0.02, 0.05, 0.07, 0.30, np.nan, 0.04]


def test_interval_estimate_and_sign_test_are_the_textbooks() -> None:
    found, x = difference(VALUES, "places"), np.array([0.11, -0.02, 0.05, 0.07, 0.30, 0.04])
    half = stats.t.ppf(0.975, 5) * x.std(ddof=1) / np.sqrt(6)
    assert (found.n, found.better) == (6, 5)
    assert [found.low, found.high] == pytest.approx([x.mean() - half, x.mean() + half])
    means = [(a + b) / 2 for i, a in enumerate(x) for b in x[i:]]
    assert found.hodges_lehmann == pytest.approx(np.median(means))
    assert found.sign_p == pytest.approx(2 * (1 + 6) / 64)


def test_the_choice_of_the_best_widens_the_interval() -> None:
    alone, picked = difference(VALUES, "seeds"), difference(VALUES, "seeds", comparisons=5)
    assert picked.high - picked.low > 1.4 * (alone.high - alone.low) and picked.mean == alone.mean


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.05, 0.06, 0.055], "higher"),
        ([-0.05, -0.06, -0.055], "lower"),
        ([0.001, 0.002, 0.0015], "tie"),  # surely above zero, and yet nothing
        ([0.4, -0.3, 0.1], "undecided"),
        ([0.4], "one run"),
        ([], "one run"),
    ],
)
def test_outcome(values: list[float], outcome: str) -> None:
    assert difference(values, "seeds").outcome == outcome


def test_units_needed_give_an_interval_of_the_margin() -> None:
    found = difference([0.1, -0.1, 0.02, 0.06], "seeds")
    n = found.units_needed
    half = {count: stats.t.ppf(0.975, count - 1) * found.sd / np.sqrt(count) for count in (n - 1, n)}
    assert half[n] <= 0.02 < half[n - 1]
    assert difference([0.1, 0.2], "seeds").units_needed is None


def test_scenes_of_one_place_count_once() -> None:
    qualities = {"abu-beach-1": 0.5, "somewhere": -0.2}
    rows = [run("lkca", 30.0, dataset=name) for name in qualities]
    rows += [run("lkca-lr", 30.0 + gain, dataset=name) for name, gain in qualities.items()]
    assert sorted(by_place(pd.DataFrame(rows), "lkca-lr", "lkca").round(6)) == [-0.2, 0.5]
    one_place = [run("lkca", 30, dataset=f"abu-airport-{n}") for n in (1, 3)]
    one_place += [run("lkca-lr", 30 + n, dataset=f"abu-airport-{n}") for n in (1, 3)]
    assert by_place(pd.DataFrame(one_place), "lkca-lr", "lkca").to_dict() == {"Los Angeles": 2}


def test_seeds_are_paired_among_the_longest_training_that_both_have_and_a_baseline_serves_all() -> None:
    rows = [
        run(m, q, seed=s) for m, q, s in (("lkca", 30, 0), ("lkca", 31, 1), ("lkca-lr", 31.5, 1), ("bicubic", 29, 0))
    ]
    rows += [run("lkca", 20, seed=1, epochs=50), run("lkca-lr", 20, seed=1, epochs=50), run("lkca", 40, epochs=900)]
    frame = pd.DataFrame(rows)
    assert by_seed(frame, "lkca-lr", {"model": "lkca", "blocks": 2}).to_dict() == {1: 0.5}
    assert by_seed(frame[frame["epochs"] == 300], "lkca", "bicubic").to_dict() == {0: 1, 1: 2}
    assert by_seed(frame, "vdsr", "lkca").empty


def test_each_dataset_has_its_own_baseline() -> None:
    rows = [run("bicubic", 29, dataset="easy"), run("bicubic", 20, dataset="hard")]
    frame = pd.DataFrame([*rows, run("lkca", 30, dataset="easy"), run("lkca", 23, dataset="hard")])
    assert by_seed(frame, "lkca", "bicubic").to_dict() == {0: 2}


def reasons(profile: str = "converged") -> str:
    return "; ".join(unfit(read_results(f"{profile}/study"), profile, "study"))


def test_early_stopping_counts_as_converged_and_a_fixed_length_does_not() -> None:
    rows = [run("lkca", 31 + seed / 100, seed=seed) for seed in range(3)]
    write("study", rows)
    assert reasons() == ""
    write("study", rows, ended_early=False)
    assert "3 of 3 runs did not converge" in reasons()


@pytest.mark.parametrize(("gain", "vouches"), [(0.01, True), (0.2, False)])
def test_a_run_of_twice_the_length_vouches_if_it_gains_nothing(gain: float, vouches: bool) -> None:
    rows = [run("lkca", 31.0, seed=seed, epochs=50) for seed in range(3)]
    write("study", rows, ended_early=False)
    write("longer", [run("lkca", 31.0 + gain, seed=seed, epochs=100) for seed in range(2)])
    assert gain_of_longer(pd.DataFrame(rows), "converged").mean == pytest.approx(gain)
    assert (reasons() == "") is vouches


def test_failed_runs_recipes_and_one_real_scene() -> None:
    rows = [run("lkca", quality, seed=seed) for seed, quality in enumerate((29.0, 29.5, 31.0))]
    write("study", rows)
    assert count_failed(read_results("converged/study")) == 2 and "2 of 3 runs failed" in reasons()
    write("study", [run("lkca", 31, seed=seed, recipe=seed) for seed in range(2)])
    assert "recipes" in reasons()
    write("study", [run("lkca", 31, seed=seed, dataset="la_aviris") for seed in range(2)], "cpu")
    assert reasons("cpu") == "one real scene"
