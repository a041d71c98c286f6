"""A disk that is full while something too large for the memory is put there: which, and what to do."""

import errno
import tempfile

import numpy as np
import pytest
import torch

from lkca.sharpening.feature_maps import FeatureMap, said_of_spill


def test_full_disk_is_named() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        feature_map = FeatureMap((4, 5, 16), full)
        with pytest.raises(OSError, match=r"No space left .* bytes are free") as caught:
            feature_map.put(0, torch.zeros(1, 16, 4, 5))
    assert caught.value.errno == errno.ENOSPC and "--memory" in str(caught.value)


def test_what_was_put_there_is_read_again() -> None:
    with tempfile.TemporaryFile() as file:
        feature_map = FeatureMap((4, 5, 3), file)
        strip = torch.from_numpy(np.random.default_rng(0).random((1, 3, 2, 5), np.float32))
        feature_map.put(1, strip)
        assert torch.equal(feature_map.rows(1, 3), strip)
        with said_of_spill(file):
            pass
