"""The one place that says how a kernel is compiled.

A kernel is plain Python over arrays: compiled by Numba it costs about a microsecond a reading, and
`kernel.py_func` (or ``NUMBA_DISABLE_JIT=1``) runs the very same code under the interpreter, which
is how the tests prove that both agree to the last bit. ``fastmath`` stays off and nothing is run in
parallel: additions happen in the order in which they are written, whatever the batch size.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

__all__ = ["kernel"]


def _stamp() -> str:
    """Digest of all that a kernel can take in from this folder: kernels, and the vital signs."""
    sources = {path.name: path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))}
    taken = [text for name, text in sources.items() if b"kernel" in text or name == "vitals.py"]
    return hashlib.sha256(b"".join(taken)).hexdigest()


_STAMP = _stamp()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on its first call and keep the machine code on disk."""
    compiled = numba.njit(function, cache=True, fastmath=False, parallel=False, error_model="numpy")
    if not numba.config.DISABLE_JIT:
        # By itself Numba compiles again when the function's own file has changed, and would go on
        # with the old code of a kernel, or the old value of a constant, from another file.
        index = compiled._cache._cache_file
        index._source_stamp = (index._source_stamp, _STAMP)
    return compiled
