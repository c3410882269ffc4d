"""How clean speech sounds: DNSMOS P.835 (Reddy et al. 2022, arXiv:2110.01763), by its ONNX model.

It knows noise and distortion, but neither prosody nor Finnish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from fintts_inputs.errors import EvalModelProblem

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_trainer.codecs.base import Wave

RATE = 16_000
SECONDS = 9.01
"""what the model hears at once"""
TO_MOS = (-0.06766283, 1.11546468, 0.04602535)
"""the overall quality as the model gives it → on the scale of listeners, from the square down"""


class Dnsmos:
    """The model in memory."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def overall(self, wave: Wave) -> float | None:
        """float32 [samples] at 16 kHz → the overall quality, from 1 to 5; None without any sound.

        A clip that is shorter than the model's is repeated; of a longer one, the mean over windows
        that begin a second apart.
        """
        if not wave.any():
            return None
        size = int(SECONDS * RATE)
        clip = np.clip(wave, -1.0, 1.0)
        while len(clip) < size:
            clip = np.concatenate([clip, clip])
        count = int(len(clip) // RATE - SECONDS) + 1
        windows = [clip[begin * RATE :][:size] for begin in range(count)]
        values = [self._one(window) for window in windows if len(window) == size]
        return float(np.mean(values))

    def _one(self, window: Wave) -> float:
        (answer,) = self._session.run(None, {"input_1": window[None].astype(np.float32)})
        return float(np.polyval(TO_MOS, float(np.asarray(answer)[0, 2])))


def open_dnsmos(path: Path) -> Dnsmos:
    """Reads sig_bak_ovr.onnx, on the CPU, where a second of sound takes a fifth of one.

    Raises:
        EvalModelProblem: it is something else.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:  # from memory: a model in a file may name other files
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        names = [one.name for one in session.get_inputs()]
    except Exception as error:  # onnxruntime's errors have no common class
        raise _problem(path, str(error).splitlines()[0]) from None
    if names != ["input_1"]:
        raise _problem(path, f"its inputs are {', '.join(names)}")
    return Dnsmos(session)


def _problem(path: Path, why: str) -> EvalModelProblem:
    return EvalModelProblem(
        f"{path} is not the model of DNSMOS: {why}",
        "use dnsmos_models/sig_bak_ovr.onnx from speechmos 0.0.1.1",
    )
