"""The weights that come with the package: the runs that make them.

Anybody remakes those of the kind "made" with `make weights`: they need no file, and equal seeds give equal bits.
"""

from lkca.training.run import Run

EPOCHS = {2: 40, 4: 50, 8: 40}  # of 50 steps each
READINGS = {"made": "made", "real": "all"}  # of the dataset `sensors`


def box_run(scale: int, kind: str = "made", left_out: str | None = None, seed: int = 0) -> Run:
    """The run behind the weights of a scale.

    Parameters
    ----------
    kind : "made" or "real". left_out : a sensor whose scenes do not train, of the kind "real".
    """
    reading = f"without-{left_out}" if left_out else READINGS[kind]
    return Run(
        dataset="sensors",
        reading=reading,
        scale=scale,
        model="lkca-any",
        seed=seed,
        epochs=EPOCHS[scale],
        batch=32,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
    )
