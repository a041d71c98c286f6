"""Made-up tables of results, in the columns of the study's."""

from collections.abc import Iterable

import pandas as pd

from lkca.files import results_folder, write_text

COLUMNS = {
    "dataset": "synthetic_stream", "variant": "default", "scale": 4, "blocks": 2, "channels": 32, "groups": 1,
    "upsampler": "grouped", "rank": 0,
    "kd_weight": None, "kd_decay": None, "kd_l1": None, "kd_gradient": None, "kd_cosine": None,
    "teacher_blocks": None, "epochs": 300, "recipe": 1, "seed": 0, "macs_G": 1.0, "params_M": 1.0,
}  # fmt: skip
KD = {"kd_weight": 0.01, "kd_decay": 0.66, "kd_l1": 1.0, "kd_gradient": 0.1, "kd_cosine": 0.5, "teacher_blocks": 8}
BICUBIC, PROJECTION = 30.0, 30.5  # MPSNR in dB


def run(model: str, quality: float, **changes: object) -> dict[str, object]:
    """Return a row; MPSNR after back-projection is 0.1 dB above."""
    row = COLUMNS | (KD if model == "lkca-kd" else {}) | {"model": model} | changes
    name = "-".join(f"{key}{value}" for key, value in row.items() if value is not None)
    metrics = {"MPSNR": quality, "MSSIM": 0.9, "SAM": 3.0, "CC": 0.9, "RMSE": 0.01, "ERGAS": 5.0}
    return {"run": name, **row, **metrics, "MPSNR_bp": quality + 0.1}


def write(study: str, rows: Iterable[dict[str, object]], profile: str = "converged", ended_early: bool = True) -> None:
    """Write a study's table with both baselines on each dataset, and its training curves."""
    rows = list(rows)
    bases = [
        run(model, quality, dataset=name, variant=variant, scale=scale)
        for name, variant, scale in sorted({(row["dataset"], row["variant"], row["scale"]) for row in rows})
        for model, quality in (("bicubic", BICUBIC), ("back-projection", PROJECTION))
    ]
    curves = [
        {"run": r["run"], "epoch": r["epochs"] - 10 if ended_early else r["epochs"], "validation": 1} for r in rows
    ]
    write_table(f"{profile}/{study}", [*bases, *rows])
    write_table(f"{profile}/{study}_training", curves)


def write_table(name: str, rows: Iterable[dict[str, object]]) -> None:
    write_text(results_folder() / f"{name}.csv", pd.DataFrame(rows).to_csv(index=False))
