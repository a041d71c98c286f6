"""Verdicts on made-up tables of results."""

import pytest

from lkca.paper.verdicts import Verdict, verdicts
from tests.paper.results_made import BICUBIC, run, write, write_table

SEEDS = range(4)
PLACES = [f"place-{number}" for number in range(9)]


def verdict(name: str) -> Verdict:
    return next(found for found in verdicts() if found.name == name)


def test_without_results_all_is_open_but_what_arithmetic_settles() -> None:
    words = {found.name: found.word for found in verdicts()}
    assert words.pop("3b") == "weakened (settled by the printed tables)"
    assert set(words.values()) == {"open"} and all(found.deciding is None for found in verdicts())


def blocks(gains: dict[int, float], **changes: object) -> list[dict[str, object]]:
    return [
        run("lkca", 31 + gain + 0.01 * seed, blocks=n, seed=seed, **changes)
        for n, gain in gains.items()
        for seed in SEEDS
    ]


GROWING = {4: 0.0, 16: 0.5, 64: 0.7}


def test_growth_that_slows_is_confirmed() -> None:
    write("block_count", blocks(GROWING))
    found = verdict("1")
    assert found.word == "confirmed" and "+0.500" in found.deciding.headline
    assert "+0.500" in found.deciding.back_projected and found.deciding.unit == "dB; 4 seeds, synthetic scenes"


def test_growth_is_open_where_runs_did_not_converge_are_few_or_end_too_soon() -> None:
    write("block_count", blocks(GROWING), ended_early=False)
    assert verdict("1").word == "open" and "did not converge" in verdict("1").deciding.reasons[0]
    write("block_count", [row for row in blocks(GROWING) if row["seed"] < 2])
    assert verdict("1").deciding.reasons == ("2 seeds, 3 are needed",)
    write("block_count", blocks({4: 0.0, 16: 0.5}))
    assert verdict("1").word == "open"


def test_the_first_profile_that_decides_gives_the_word() -> None:
    write("block_count", blocks({4: 0.0, 16: 0.001, 64: 0.002}), "cpu")
    assert (verdict("1").word, verdict("1").deciding.profile) == ("refuted", "cpu")
    write("block_count", blocks(GROWING))
    assert (verdict("1").word, verdict("1").deciding.profile) == ("confirmed", "converged")
    write("block_count", blocks(GROWING), ended_early=False)
    assert verdict("1").word == "refuted"


@pytest.mark.parametrize(
    ("k90", "kept", "word"), [(10, 0.0, "confirmed"), (60, 0.0, "weakened"), (60, -0.5, "refuted")]
)
def test_rank(k90: int, kept: float, word: str) -> None:
    networks = [run("lkca", 31.0, seed=seed) for seed in SEEDS]
    write("upsamplers", networks)
    cuts = [(row["run"], k, 31 + loss) for row in networks for k, loss in ((1, -0.9), (8, kept), (100, 0.0))]
    write_table(
        "converged/upsamplers_truncation",
        [
            {"run": name, "k": k, "cut_MPSNR": quality, "values": 100, "k90": k90, "budget": 8}
            for name, k, quality in cuts
        ],
    )
    assert verdict("2").word == word


def three(net: float, lr: float, kd: float, **changes: object) -> list[dict[str, object]]:
    qualities = {"lkca": net, "lkca-lr": lr, "lkca-kd": kd}
    return [run(model, quality, **changes) for model, quality in qualities.items()]


def test_loss_and_distillation_over_seeds() -> None:
    write("until_converged", [row for s in SEEDS for row in three(31, 30.95 + s / 1000, 30.99 - s / 1000, seed=s)])
    assert verdict("3a").word == "confirmed"
    assert verdict("3b").word == "weakened (settled by the printed tables)"  # whatever ours are
    assert verdict("3b").deciding.word == "confirmed"


def test_loss_over_places_comes_first_and_failed_networks_decide_nothing() -> None:
    write("until_converged", [row for seed in SEEDS for row in three(31, 30.95 + seed / 1000, 31, seed=seed)])
    rows = [row for n, place in enumerate(PLACES) for row in three(31, 30.5 + n / 100, 31, dataset=place)]
    write("scenes", rows, "converged")
    found = verdict("3a")
    assert (found.word, found.deciding.study) == ("refuted", "scenes")
    assert "sign test" in found.deciding.numbers[0] and "9 places" in found.deciding.unit
    failed = [row | {"MPSNR": BICUBIC - 1} if row["dataset"] < "place-3" else row for row in rows]
    write("scenes", failed, "converged")
    assert (verdict("3a").word, verdict("3a").deciding.study) == ("confirmed", "until_converged")


def hosts(**own: float) -> list[dict[str, object]]:
    """Return networks whose grouped upsampler loses 0.02 dB and saves half."""
    return [
        run(host, quality + change + seed / 1000, seed=seed, upsampler=kind, macs_G=macs)
        for host, quality in own.items()
        for kind, change, macs in (("own", 0, 1.0), ("grouped", -0.02, 0.5))
        for seed in SEEDS
    ]


def test_hosts_fit_but_those_below_back_projection_do_not_count() -> None:
    write("upsamplers_elsewhere", hosts(vdsr=31, sspsr=31, msdformer=31))
    assert verdict("5").word == "confirmed" and "-0.020" in verdict("5").deciding.headline
    write("upsamplers_elsewhere", hosts(vdsr=31, sspsr=31, msdformer=30.4))  # above bicubic, below back-projection
    assert verdict("5").word == "weakened"
    assert any("msdformer" in question and "does not count" in question for question in verdict("5").deciding.asks)


def test_speed() -> None:
    write_table(
        "speed/cpu-ratios",
        [{"model": m, "size": 16, "times_faster": 9.0} for m in ("sspsr", "msdformer", "essaformer")],
    )
    assert verdict("4").word == "weakened"
