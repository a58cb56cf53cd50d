"""``vigil corpus``: building and showing on the terminal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import settings
from tests.shell import vigil
from tests.unit.made_files import medquad

pytestmark = pytest.mark.unit


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "mix" / "1_GARD_QA"
    folder.mkdir(parents=True)
    (folder / "a.xml").write_bytes(medquad(("1-1", "Why?", "So it is."), ("1-2", "How?", "")))
    (folder / "b.xml").write_bytes(b"<x/>")
    return tmp_path / "mix"


def test_a_corpus_is_built_and_what_was_left_out_is_told(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = vigil("corpus", "build", str(source), "--out", str(out), "--json")
    assert found.exit_code == 0
    told = json.loads(found.stdout)
    assert (told["folder"], told["documents"], told["sources"]) == (str(out), 1, 2)
    assert told["dropped"] == {"no answer": 1}
    assert told["unreadable"][0][0] == "mix/1_GARD_QA/b.xml"
    shown = vigil("corpus", "show", "--corpus", str(out), "--json")
    assert json.loads(shown.stdout) == told


def test_people_read_counts_and_the_files_that_were_not_read(source: Path, tmp_path: Path) -> None:
    found = vigil("corpus", "build", str(source), "--out", str(tmp_path / "out"))
    assert found.exit_code == 0
    assert "1 documents, 1 passages" in found.stdout
    assert "1_GARD_QA" in found.stdout
    assert "not read: mix/1_GARD_QA/b.xml: XML, but not of MedQuAD" in found.stderr


def test_without_an_option_the_corpus_is_in_the_home(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VIGIL_CORPUS", raising=False)
    settings.cache_clear()
    assert vigil("corpus", "build", str(source)).exit_code == 0
    assert (tmp_path / "home" / "corpus" / "manifest.json").exists()
    settings.cache_clear()


def test_the_documents_that_ship_can_be_put_into_it(source: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    found = vigil("corpus", "build", str(source), "--out", out, "--with-shipped", "--json")
    assert json.loads(found.stdout)["collections"]["vigil"] >= 25


def test_no_corpus_ends_with_1_and_the_remedy(tmp_path: Path) -> None:
    found = vigil("corpus", "show", "--corpus", str(tmp_path))
    assert found.exit_code == 1
    assert "vigil corpus build PATH" in " ".join(found.stderr.split())


@pytest.mark.parametrize(
    "wrong", [["absent/"], [], ["{source}", "--overlap", "1000"], ["{source}", "--size", "0"]]
)
def test_a_wrong_command_line_ends_with_2(source: Path, tmp_path: Path, wrong: list[str]) -> None:
    words = [word.format(source=source) for word in wrong]
    found = vigil("corpus", "build", *words, "--out", str(tmp_path / "out"))
    assert found.exit_code == 2


@pytest.mark.parametrize("words", ["corpus", "corpus build", "corpus show"])
def test_help_has_an_example(words: str) -> None:
    shown = vigil(*words.split(), "--help")
    assert shown.exit_code == 0
    assert f"vigil {words}" in " ".join(shown.stdout.split("Example")[1].split())


def test_readers_know_neither_faust_nor_kafka() -> None:
    code = (
        "import rag.corpus.build, rag.corpus.shipped, sys;"
        "print([name for name in ('faust', 'aiokafka', 'streams') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
