"""The rules: what they say of the paper's own printed tables, and at their thresholds."""

from collections.abc import Callable

import pandas as pd
import pytest

from lkca.paper.evidence import Difference, difference
from lkca.paper.rules import (
    MAX_RANK_SHARE,
    claims,
    judge_distillation,
    judge_growth,
    judge_hosts,
    judge_loss,
    judge_rank,
    judge_speed,
    printed_macs_ratios,
)


def test_the_printed_tables_get_the_words_that_they_deserve() -> None:
    words = {name: claim.word for name, claim in claims().items()}
    assert words == {
        "1": "confirmed",  # growth slows; it has not ended at 32
        "2": "confirmed",
        "3a": "confirmed",
        "3b": "weakened",  # something is won back, and less than half of it
        "4": "confirmed",  # in multiply-accumulates
        "5": "open",  # never shown
    }


def test_numbers_that_arithmetic_on_the_printed_tables_gives() -> None:
    detail = {name: claim.detail for name, claim in claims().items()}
    assert all(gain in detail["1"] for gain in ("+0.550 dB", "+0.269 dB", "+0.076 dB"))
    assert "-0.1415 to +0.0355 dB" in detail["3a"] and "5.3%" in detail["3a"]
    won_back = "47% (Chikusei x4), 34% (Chikusei x8), 37% (Houston 2018 x4), 38% (Houston 2018 x8): less than half"
    assert won_back in detail["3b"]  # at Pavia Centre LR is above LKCA-Net
    assert (130 / 1152, round(MAX_RANK_SHARE, 3)) == (MAX_RANK_SHARE, 0.113)
    ratios = printed_macs_ratios()["times_faster"]
    assert (round(ratios.min(), 1), round(ratios.max(), 1)) == (28.6, 573.7)


NOTHING = difference([], "seeds")


def d(low: float, high: float) -> Difference:
    return Difference((low + high) / 2, low, high, 6, "seeds")


@pytest.mark.parametrize(
    ("judge", "numbers", "word"),
    [
        (judge_growth, (d(0.4, 0.6), d(0.1, 0.3), d(-0.4, -0.2)), "confirmed"),
        (judge_growth, (d(0.4, 0.6), d(-0.01, 0.01), d(-0.6, -0.4)), "weakened"),  # growth ends at 16
        (judge_growth, (d(0.1, 0.2), d(0.4, 0.5), d(0.2, 0.4)), "weakened"),  # growth does not slow
        (judge_growth, (d(-0.3, 0.01), d(0.1, 0.3), d(0.1, 0.4)), "refuted"),
        (judge_growth, (d(0.4, 0.6), d(-0.1, 0.3), d(-0.6, 0.1)), "open"),
        (judge_growth, (d(0.4, 0.6), NOTHING, NOTHING), "open"),
        (judge_growth, (NOTHING, NOTHING, NOTHING), "open"),
        (judge_rank, ([0.05, 0.11],), "confirmed"),
        (judge_rank, ([0.05, 0.12],), "refuted"),
        (judge_rank, ([0.05, 0.11], d(-0.01, 0.0)), "confirmed"),
        (judge_rank, ([0.05, 0.25], d(-0.01, 0.0)), "weakened"),
        (judge_rank, ([0.05], d(-0.3, -0.1)), "weakened"),
        (judge_rank, ([0.25], d(-0.3, -0.1)), "refuted"),
        (judge_rank, ([0.05], d(-0.1, 0.1)), "open"),
        (judge_loss, (d(-0.09, 0.1), 1.0), "confirmed"),  # at most a tenth of a gain of 1 dB
        (judge_loss, (d(-0.3, -0.11), 1.0), "refuted"),
        (judge_loss, (d(-0.36, -0.09), 1.0), "open"),
        (judge_distillation, (d(0.1, 0.2), d(0.01, 0.1)), "confirmed"),
        (judge_distillation, (d(0.05, 0.2), d(-0.1, -0.01)), "weakened"),
        (judge_distillation, (d(0.05, 0.2), d(-0.1, 0.1)), "open"),
        (judge_distillation, (d(-0.2, 0.01), d(-0.3, -0.1)), "refuted"),
        (judge_distillation, (NOTHING, NOTHING), "open"),
    ],
)
def test_thresholds(judge: Callable[..., str], numbers: tuple, word: str) -> None:
    assert judge(*numbers) == word


@pytest.mark.parametrize(
    ("slowest", "sizes", "models", "word"),
    [
        (24, (16, 32, 64), 3, "confirmed"),
        (24, (16, 32), 3, "open"),  # too few sizes
        (9, (16,), 3, "weakened"),  # one counterexample is enough
        (0.9, (16,), 3, "refuted"),
        (100, (16, 32, 64), 2, "open"),
    ],
)
def test_speed(slowest: float, sizes: tuple[int, ...], models: int, word: str) -> None:
    names = ("msdformer", "sspsr", "essaformer")[:models]
    rows = [(name, size, slowest if name == "msdformer" else 100) for name in names for size in sizes]
    assert judge_speed(pd.DataFrame(rows, columns=["model", "size", "times_faster"])) == word


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("confirmed confirmed confirmed open", "confirmed"),
        ("confirmed confirmed refuted refuted", "weakened"),
        ("confirmed confirmed open refuted", "open"),
        ("confirmed refuted refuted refuted", "refuted"),
        ("refuted refuted refuted", "open"),  # one host does not count, so one more could fit
        ("", "open"),
    ],
)
def test_hosts(words: str, verdict: str) -> None:
    assert judge_hosts(dict(enumerate(words.split()))) == verdict
