"""Judge the paper's claims: the rules, second edition of 2026-11-28. `docs/verdicts.md` states them in words.

The rules take differences, not tables, so the same rule judges the paper's printed tables and this study's runs.
`lkca.paper.verdicts` applies them to results/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lkca.paper.evidence import MARGIN, Difference, difference, printed_difference
from lkca.paper.printed import (
    BLOCKS,
    SINGULAR_VALUES,
    SINGULAR_VALUES_OF,
    TITLES,
    network_tables,
    printed_gains,
    printed_table,
)

CONFIRMED, WEAKENED, REFUTED, OPEN = "confirmed", "weakened", "refuted", "open"
SETTLED = "settled by the printed tables"
LITTLE = 0.1  # share of a network's gain over bicubic that a cheaper upsampler may lose
MAX_RANK_SHARE = max(SINGULAR_VALUES.values()) / SINGULAR_VALUES_OF  # the paper's own largest: 130 of 1152
DOZENS = 24  # times as fast as another network
MIN_SAVED = 0.1  # share of a host's MACs that the low-rank upsampler must save
MIN_PLACES, MIN_SEEDS, MIN_SIZES = 8, 3, 3
SLOW = ("sspsr", "msdformer", "essaformer")
HOSTS = ("vdsr", "sspsr", "msdformer", "essaformer")  # networks that are given a low-rank upsampler


def judge_growth(early: Difference, late: Difference, slowing: Difference) -> str:
    """Judge claim 1 (number of blocks). early, late : gain from 4 to 16 and 16 to 64 blocks. slowing : late - early."""
    if early.n and early.high < MARGIN:
        return REFUTED
    if not early.low > MARGIN or not late.n:
        return OPEN
    if late.low > MARGIN and slowing.high < 0:
        return CONFIRMED
    return WEAKENED if late.high < MARGIN or slowing.low > 0 else OPEN


def judge_rank(shares: Sequence[float], cut: Difference | None = None) -> str:
    """Judge claim 2 (low rank).

    shares : for each upsampler, the share of its singular values that holds 90 % of their sum.
    cut : change in MPSNR when the upsampler is cut to the rank that costs as much as LKCA-LR's; None if it was not
        measured, as in the paper.
    """
    few = max(shares) <= MAX_RANK_SHARE
    if cut is None:
        return CONFIRMED if few else REFUTED
    if cut.low >= -MARGIN:
        return CONFIRMED if few else WEAKENED
    if cut.high < -MARGIN:
        return WEAKENED if few else REFUTED
    return OPEN


def judge_loss(loss: Difference, gain: float) -> str:
    """Judge whether a cheaper upsampler loses little (claims 3a, 5). gain : of the full one over bicubic, in dB."""
    if loss.low > -LITTLE * gain:
        return CONFIRMED
    return REFUTED if loss.high < -LITTLE * gain else OPEN


def judge_distillation(won: Difference, nearer: Difference) -> str:
    """Judge claim 3b (distillation). won : KD - LR. nearer : KD - (LR + Net) / 2, above 0 if most is won back."""
    if nearer.low > 0 and won.low > 0:
        return CONFIRMED
    if won.n and won.high < MARGIN:
        return REFUTED
    return WEAKENED if won.low > 0 and nearer.high < 0 else OPEN


def judge_speed(ratios: pd.DataFrame) -> str:
    """Judge claim 4 (speed). ratios : a row for each measurement; columns model, size, times_faster (of LKCA-KD)."""
    found = ratios[ratios["model"].isin(SLOW)]
    if set(found["model"]) != set(SLOW):
        return OPEN
    if found["times_faster"].min() <= 1:
        return REFUTED
    if found["times_faster"].min() < DOZENS:
        return WEAKENED
    return CONFIRMED if found.groupby("model")["size"].nunique().min() >= MIN_SIZES else OPEN


def judge_hosts(fits: Mapping[str, str]) -> str:
    """Judge claim 5 (hosts). fits : for each host above back-projection, whether it fits (confirmed, refuted, open)."""
    yes, no = (sum(word == outcome for word in fits.values()) for outcome in (CONFIRMED, REFUTED))
    if yes >= 3:
        return CONFIRMED
    if yes == 2 and no == len(fits) - 2:
        return WEAKENED
    return REFUTED if len(fits) == len(HOSTS) and no >= 3 else OPEN


def printed_macs_ratios() -> pd.DataFrame:
    """Return the MACs of each slow network over those of LKCA-KD. Columns: model, size, times_faster (in MACs)."""
    tables = network_tables().set_index(["dataset", "scale", "model"])["macs_G"]
    rows = [
        (model, f"{d}-{s}", tables[d, s, model] / tables[d, s, "lkca-kd"])
        for d, s in tables.index.droplevel("model").unique()
        for model in SLOW
    ]
    return pd.DataFrame(rows, columns=["model", "size", "times_faster"])


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, as recovered from its text, judged by the paper's own tables.

    place : where the paper supports it. word : verdict of the rules. number : the paper's, in short. detail : in full.
    """

    says: str
    place: str
    word: str
    number: str
    detail: str


def claims() -> dict[str, Claim]:
    """Return the paper's claims by name, judged by its own printed tables."""
    steps = ((16, 4), (64, 16), (64, 32), (64, 48))
    early, late, doubled, last = (printed_gains(printed_table(BLOCKS), "blocks", *step).item() for step in steps)
    growth = judge_growth(*(printed_difference(value) for value in (early, late, late - early)))
    pairs = (("lkca", "bicubic"), ("lkca-lr", "lkca"), ("lkca-kd", "lkca-lr"))
    gain, loss, won = (printed_gains(network_tables(), "model", *pair) for pair in pairs)
    losses = {judge_loss(printed_difference(loss[case]), gain[case]) for case in loss.index}
    lost = loss < 0  # elsewhere there is nothing to win back
    won_back = won[lost] / -loss[lost]
    distillation = [difference(parts[lost], "printed settings") for parts in (won, won + loss / 2)]
    macs = printed_macs_ratios()["times_faster"]
    shares = [count / SINGULAR_VALUES_OF for count in SINGULAR_VALUES.values()]
    return {
        "1": Claim(
            "quality grows with the number of blocks and saturates at 32 to 64",
            "Table I",
            growth,
            f"{early:+.3f} dB from 4 to 16 blocks, {late:+.3f} dB from 16 to 64",
            f"Table I gains {early:+.3f} dB from 4 to 16 blocks, {late:+.3f} dB from 16 to 64. Growth slows, but has "
            f"not ended at 32: {doubled:+.3f} dB from 32 to 64, {last:+.3f} dB from 48 to 64.",
        ),
        "2": Claim(
            "the upsampler is low rank: some 60 to 130 of 1152 singular values hold 90 % of their sum",
            "Figure 4",
            judge_rank(shares),
            f"{', '.join(map(str, SINGULAR_VALUES.values()))} of {SINGULAR_VALUES_OF}",
            "Figure 4 has about "
            + ", ".join(f"{count} ({TITLES[name]})" for name, count in SINGULAR_VALUES.items())
            + f" of {SINGULAR_VALUES_OF} values, at most {MAX_RANK_SHARE:.1%}. The quality after a cut is not shown.",
        ),
        "3a": Claim(
            "the low-rank upsampler (LKCA-LR) loses little",
            "Tables V-VII",
            losses.pop() if len(losses) == 1 else OPEN,
            f"{loss.min():+.3f} to {loss.max():+.3f} dB",
            f"LKCA-LR minus LKCA-Net is {loss.min():+.4f} to {loss.max():+.4f} dB in six settings: at most "
            f"{(-loss / gain).max():.1%} of what LKCA-Net gains over bicubic.",
        ),
        "3b": Claim(
            "distillation (LKCA-KD) wins most of that loss back",
            "Tables V-VII",
            judge_distillation(*distillation),
            f"{won_back.min():.0%} to {won_back.max():.0%} of the loss",
            "Distillation wins back "
            + ", ".join(f"{share:.0%} ({case})" for case, share in won_back.items())
            + ": less than half wherever LKCA-LR loses. At Pavia Centre LKCA-LR is above LKCA-Net, and at x8 LKCA-KD "
            f"is below LKCA-LR ({won['Pavia Centre x8']:+.4f} dB).",
        ),
        "4": Claim(
            "dozens to hundreds of times faster than SSPSR, MSDformer and ESSAformer",
            "text; costs in Tables V-VII",
            judge_speed(printed_macs_ratios()),
            f"{macs.min():.0f} to {macs.max():.0f} times fewer MACs",
            f"Tables V-VII give LKCA-KD {macs.min():.0f} to {macs.max():.0f} times fewer MACs than the three networks. "
            "That is cost, not time: no times are in what was recovered of the paper.",
        ),
        "5": Claim(
            "the low-rank upsampler is non-intrusive: it fits most networks",
            "text; never shown",
            OPEN,
            "never shown",
            "The paper puts its upsampler into no other network.",
        ),
    }
