"""The one place that says how a kernel is compiled.

A kernel is plain Python over arrays: compiled by Numba it costs about a microsecond a reading, and
`kernel.py_func` (or ``NUMBA_DISABLE_JIT=1``) runs the very same code under the interpreter, which
is how the tests prove that both agree to the last bit. ``fastmath`` stays off and nothing is run in
parallel: additions happen in the order in which they are written, whatever the batch size.
"""

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["kernel"]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on its first call and keep the machine code on disk."""
    return numba.njit(function, cache=True, fastmath=False, parallel=False, error_model="numpy")
