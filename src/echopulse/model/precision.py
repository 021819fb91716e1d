"""Which number type a machine multiplies fastest."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

_float32_only = False


def cpu_has_bfloat16() -> bool:
    """Whether this CPU has bfloat16 products of its own (AVX-512 BF16 or AMX); elsewhere they are emulated, slowly."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.cpu._is_avx512_bf16_supported()


def mixed_precision(device: torch.device | str):
    """A context of bfloat16 autocast where the device has it, else one that changes nothing."""
    kind = torch.device(device).type
    fast = torch.cuda.is_bf16_supported() if kind == "cuda" else cpu_has_bfloat16()
    return torch.autocast(kind, torch.bfloat16) if fast and not _float32_only else nullcontext()


@contextmanager
def float32_only() -> Iterator[None]:
    """Within it no `mixed_precision` changes anything: as on a machine without bfloat16, for benchmarks."""
    global _float32_only
    before, _float32_only = _float32_only, True
    try:
        yield
    finally:
        _float32_only = before
