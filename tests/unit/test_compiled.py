"""Machine code that is kept on disk is never older than the sources it was made of."""

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from models import compiled

pytestmark = pytest.mark.unit

INNER = """
from {package}.compiled import kernel
from {package}.vitals import SCALE

@kernel
def inner(x):
    return x + {added}
"""
OUTER = """
from {package}.compiled import kernel
from {package}.inner import inner
from {package}.vitals import SCALE

@kernel
def outer(x):
    return inner(x) * SCALE
"""


def test_a_kernel_is_compiled_anew_when_a_kernel_or_constant_of_another_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "compiled_probe"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(compiled.__file__, package / "compiled.py")
    (package / "outer.py").write_text(OUTER.format(package=package.name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def answer(added: int, scale: int) -> int:
        (package / "inner.py").write_text(INNER.format(package=package.name, added=added))
        (package / "vitals.py").write_text(f"SCALE = {scale}\n")
        for name in [name for name in sys.modules if name.startswith(package.name)]:
            del sys.modules[name]
        importlib.invalidate_caches()
        outer = importlib.import_module(f"{package.name}.outer").outer
        return int(outer(1))

    assert answer(added=1, scale=10) == 20
    assert answer(added=5, scale=10) == 60
    assert answer(added=5, scale=100) == 600
