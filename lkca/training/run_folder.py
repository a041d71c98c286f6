"""A run's folder: whether the run is finished, made from the same data and by the code that there is now.

It holds
    settings.json        the run
    provenance.json      code, versions, machine, data checksum
    history.csv          a row an epoch
    weights.safetensors  the weights that did best on the validation patches
    resume.pt            all that is needed to go on after the last finished epoch
    checksums.json       of the files above and below, so that damage does not pass for a result
    metrics.json         written last: where it stands, the run is finished; nothing else means finished
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from lkca.data.split import Split
from lkca.paths import Log
from lkca.training import record
from lkca.training.corrected import CORRECTED
from lkca.training.fingerprint import fingerprint
from lkca.training.run import Run
from lkca.training.trainer import HISTORY
from lkca.training.weights import load_weights

RESULTS = (
    *("metrics.json", CORRECTED, record.CHECKSUMS),
    *("resume.pt", "history.csv", "weights.safetensors", "provenance.json"),
)


@dataclass(frozen=True)
class Result:
    """A finished run.

    metrics : mean of each metric over the test images. images : the metrics of each.
    history : a row an epoch: epoch, loss, validation (MPSNR in dB), learning_rate, seconds. Empty for bicubic.
    """

    run: Run
    metrics: dict[str, float]
    images: dict[str, dict[str, float]]
    history: pd.DataFrame

    @property
    def folder(self) -> Path:
        return self.run.folder

    def model(self, device: torch.device | str = "cpu") -> nn.Module:
        """The trained network, in eval mode."""
        return load_weights(self.folder / "weights.safetensors", device, self.run.name)[0]


def load_result(run: Run) -> Result:
    """The result of a finished run, whose files are what was written.

    Raises
    ------
    FileNotFoundError
        If the run is not finished.
    ValueError
        If one of its files is damaged or missing; which one.
    """
    path = run.folder / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(f"run {run.name} is not finished: {path} does not exist")
    record.check(run.folder, *record.RECORDED)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        metrics, images = dict(content["mean"]), dict(content["images"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}): delete it, and the run evaluates its weights again"
        ) from error
    return Result(run, metrics, images, folder_history(run.folder))


def folder_history(folder: Path) -> pd.DataFrame:
    """The epochs of a run; none where there is no history.csv.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = folder / "history.csv"
    if not path.is_file():
        return pd.DataFrame(columns=list(HISTORY))
    try:
        history = pd.read_csv(path)
        if list(history.columns) != list(HISTORY):
            raise ValueError(f"columns {', '.join(map(str, history.columns))}, expected {', '.join(HISTORY)}")
        return history.astype(float).astype({"epoch": int})
    except ValueError as error:  # pandas' own kinds are of this one, and so are letters that are none
        raise ValueError(
            f"{path} is damaged ({error}): delete it, and `train` writes it again from resume.pt"
        ) from error


def finished(run: Run, log: Log) -> Result | None:
    """The result of a finished run whose files are whole; None where there is something left to do."""
    try:
        result = load_result(run)
        load_weights(run.folder / "weights.safetensors", run=run.name)
    except FileNotFoundError:
        return None
    except ValueError as error:
        log(f"{run.name}: {error}. Evaluating again.")
        return None
    if record.recorded(run.folder) is None:
        log(f"{run.name}: no checksum recorded, it was made by an older version; its files are taken as they are")
    return result


def check_same_data(run: Run, split: Split, log: Log) -> None:
    """ValueError if the run's folder was begun with other data. A damaged record of that is set aside."""
    path = run.folder / "provenance.json"
    if not path.is_file():
        return
    try:
        begun_with = json.loads(path.read_text(encoding="utf-8"))["data_checksum"]
    except (ValueError, LookupError, TypeError) as error:
        aside = path.replace(path.with_name("provenance.damaged.json"))
        log(f"{path} is damaged ({error}): set aside as {aside.name}, and written anew")
        return
    if begun_with == split.checksum:
        return
    if begun_with in split.partial:
        log(
            f"{run.folder} was begun when only one of the scene's files was watched for changes: whether the others "
            "are as they were then is not known"
        )
        return
    raise ValueError(
        f"{run.folder} was begun with other data: its checksum is {begun_with}, that of {split.dataset} is now "
        f"{split.checksum}. Put the file back, or delete the folder to start again."
    )


def recorded_code(run: Run) -> str | None:
    """The fingerprint of the code that the run was begun with; None where it is not recorded."""
    try:
        return json.loads((run.folder / "provenance.json").read_text(encoding="utf-8")).get("code")
    except (OSError, ValueError, AttributeError):  # missing or damaged: nothing is known
        return None


def is_stale(run: Run) -> bool:
    """Whether the run's files come from other code than there is now, or from code that nobody recorded."""
    return (run.folder / "provenance.json").is_file() and recorded_code(run) != fingerprint(run)


def forget(run: Run) -> None:
    """Remove what the run has written, so that it starts from its beginning."""
    for name in RESULTS:
        (run.folder / name).unlink(missing_ok=True)


def start_over_if_other_code(run: Run, code: str, log: Log) -> None:
    """Forget what the run has written where other code than that of the fingerprint `code` wrote it."""
    begun = any((run.folder / name).is_file() for name in ("resume.pt", "weights.safetensors"))
    if begun and is_stale(run):
        log(f"{run.name}: begun by other code ({recorded_code(run) or 'unrecorded'}, now {code}): from the start")
        forget(run)
