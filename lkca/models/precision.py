"""In what numbers a network computes: float32, or bfloat16 where the machine multiplies it faster.

bfloat16 has float32's range and 8 bits of its precision. The residual of a network bears that; bicubic and the sum do
not (they would be off by 0.0012 of full scale) and stay in float32, in every precision.
"""

from contextlib import AbstractContextManager

import torch

PRECISIONS = ("float32", "bfloat16")
AUTO = "auto"  # bfloat16 where it is native and, measured, changes next to nothing


def check_precision(precision: str, allowed: tuple[str, ...] = PRECISIONS) -> None:
    """ValueError unless it is one of those allowed."""
    if precision not in allowed:
        raise ValueError(f"precision must be one of {', '.join(allowed)}, got {precision!r}")


def computing_in(precision: str, device: torch.device | str = "cpu") -> AbstractContextManager:
    """Within it the convolutions and products of a network are computed in that precision; weights stay as they are."""
    check_precision(precision)
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def native_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 itself: elsewhere it is slower than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(question() for question in asked if question)
