"""Notebooks that show something beside the questions of the study: they have no runs and no table of their own."""

from lkca.studies import EVERY_STUDY, Study

COST = Study(
    "cost",
    "Is it the same network, and what does a low-rank upsampler save in any network? (Tables I, V-VII, Figure 1)",
)
QUICKSTART = Study("quickstart", "How much sharper than bicubic is a small network, and where?", trains=True)
ARCHITECTURE = Study("architecture", "What is the network made of? (Figures 2, 3, 5)")
CHECK_DATA = Study(
    "check_data", "Is your file the paper's, and which variant of the protocol? (bicubic of Tables V-VII)"
)
VERDICTS = Study(
    "verdicts", "What do the runs say of the paper's claims, by rules written before them?", reads=EVERY_STUDY
)
ANY_SENSOR = Study("any_sensor", "One network for every sensor: what does it gain on scenes it has never seen?")
YOUR_SCENE = Study("your_scene", "Your own scene, sharper", trains=True)
DOWNSTREAM = Study(
    "downstream", "What is a sharpened scene good for: detection, unmixing, indices, small targets?", trains=True
)
