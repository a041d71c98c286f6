"""Notebooks without runs or a table of their own."""

from lkca.studies import EVERY_STUDY, Study

COST = Study(
    "cost",
    "Do the costs match the paper's, and what does a low-rank upsampler save elsewhere? (Tables I, V-VII, Figure 1)",
)
QUICKSTART = Study("quickstart", "How much sharper than bicubic is a small network, and where?", trains=True)
ARCHITECTURE = Study("architecture", "What is the network made of? (Figures 2, 3, 5)")
CHECK_DATA = Study("check_data", "Is your file the paper's, and which protocol variant? (bicubic rows of Tables V-VII)")
VERDICTS = Study("verdicts", "Which of the paper's claims hold, by the rules of docs/verdicts.md?", reads=EVERY_STUDY)
ANY_SENSOR = Study("any_sensor", "One network for every sensor: what does it gain on scenes it has never seen?")
YOUR_SCENE = Study("your_scene", "How do you sharpen your own scene, and how good is the result?", trains=True)
DOWNSTREAM = Study(
    "downstream", "What is a sharpened scene good for: detection, unmixing, indices, small targets?", trains=True
)
