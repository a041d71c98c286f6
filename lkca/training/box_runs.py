"""The weights that come with the package: the runs that make them.

Anybody remakes those of the kind "made" with `make weights`: they need no file, and equal seeds give equal bits.
"""

from lkca.training.run import Run

EPOCHS = {2: 40, 4: 50, 8: 40}  # of 50 steps each
PATCH = {8: 80}  # HR pixels where real scenes train as well: the smallest has 80 on a side
READINGS = {"made": "made", "real": "all"}  # of the dataset `sensors`


def box_run(
    scale: int,
    kind: str = "made",
    left_out: str | None = None,
    seed: int = 0,
    scenes: int | None = None,
    epochs: int | None = None,
) -> Run:
    """The run behind the weights of a scale, and its variations.

    Parameters
    ----------
    kind : "made" or "real". left_out : a sensor whose scenes do not train, of the kind "real". scenes : so many made
    scenes train, the same in every epoch, of the kind "made"; None draws fresh ones. epochs : None takes the box's.
    """
    reading = f"without-{left_out}" if left_out else f"made-{scenes}" if scenes else READINGS[kind]
    return Run(
        dataset="sensors",
        reading=reading,
        scale=scale,
        model="lkca-any",
        seed=seed,
        epochs=epochs or EPOCHS[scale],
        batch=32,
        patch=PATCH.get(scale) if kind == "real" else None,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
    )
