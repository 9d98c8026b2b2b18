"""The vocoder's package imports torchaudio for an API of its own; the vocoder does without."""

from __future__ import annotations

import subprocess
import sys

SPEAKS = """
import sys
sys.modules["torchaudio"] = None  # importing it raises ImportError
import numpy as np
from tts_meta.audio.vocoder import HiFiGan
print(len(HiFiGan()(np.full((20, 80), -8.0))))
"""


def test_it_speaks_where_torchaudio_is_not():
    found = subprocess.run([sys.executable, "-c", SPEAKS], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == str(20 * 256), found.stderr
