"""A corpus on disk: the same bytes, whole or not at all, and no id lost."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag.corpus.build import build
from rag.corpus.chunks import ChunkSettings
from rag.corpus.duplicates import DUPLICATE, SAYS_NOTHING, keep
from rag.corpus.folder import DOCUMENTS, load, locked
from rag.corpus.manifest import MANIFEST, CorpusError
from rag.corpus.report import Report
from rag.documents import Document
from tests.unit.made_files import medquad, pdf

pytestmark = pytest.mark.unit


def written(folder: Path) -> Path:
    """A mix of files, some of them broken."""
    files = {
        "2_GARD_QA/0000001.xml": medquad(("1-1", "Why?", "So it is."), ("1-2", "How?", "")),
        "10_CDC_QA/0000001.xml": medquad(("1-1", "Why ?", "So it is."), ("1-3", "When?", "Now.")),
        "10_CDC_QA/0000002.xml": medquad(("1-1", "Where?", "Here.")),
        "own/a.md": b"# Title\nText of it.\n",
        "own/b.csv": b"question,answer\nWho?,You.\n",
        "own/c.pdf": pdf("A page."),
        "own/d.html": b"<h1>Page</h1><p>Words.</p>",
        "own/broken.xml": b"<Document>",
        "own/readme.txt": b"nothing",
        "own/.hidden.md": b"not meant",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    return written(tmp_path / "mix")


def packed(mix: Path, kind: str) -> Path:
    path = mix.parent / "packed" / f"mix.tar.{kind}"
    path.parent.mkdir()
    with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
        archive.add(mix, arcname=".")
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_a_mix_of_files_becomes_one_corpus_and_a_broken_one_stops_nothing(mix: Path) -> None:
    manifest = build([mix], mix.parent / "out")
    corpus = load(mix.parent / "out")
    assert [document.id for document in corpus.documents] == [
        *("2/1-1", "10/1-3", "10/1-1~2", "mix/own/a.md", "b/1", "mix/own/c.pdf#page=1"),
        "mix/own/d.html",
    ]
    assert corpus.manifest == manifest
    assert (manifest.documents, manifest.answered, manifest.chunk_count) == (7, 8, 7)
    assert [name for name, _ in manifest.unreadable] == ["mix/own/broken.xml"]
    assert manifest.dropped == {DUPLICATE: 1, "file of another kind (.txt)": 1, "no answer": 1}
    assert sum(manifest.sides.values()) == 7
    assert not any(str(mix.parent) in data.decode() for data in everything(corpus.folder).values())


def test_the_same_input_gives_the_same_bytes(mix: Path) -> None:
    build([mix], mix.parent / "one")
    build([written(mix.parent / "again" / "mix")], mix.parent / "two")
    assert everything(mix.parent / "one") == everything(mix.parent / "two")


@pytest.mark.parametrize("kind", ["xz", "gz", "bz2"])
def test_a_tar_gives_the_same_as_the_folder_that_is_in_it(mix: Path, kind: str) -> None:
    build([mix], mix.parent / "one")
    build([packed(mix, kind)], mix.parent / "two")
    assert everything(mix.parent / "one") == everything(mix.parent / "two")


def test_a_tar_that_breaks_off_is_named_and_the_rest_is_read(mix: Path) -> None:
    path = packed(mix, "gz")
    path.write_bytes(path.read_bytes()[:-300])
    manifest = build([path, mix / "own" / "a.md"], mix.parent / "out")
    assert manifest.unreadable[0][0] == "mix.tar.gz"
    assert "fetch it again" in manifest.unreadable[0][1]
    assert load(mix.parent / "out").find("a.md") is not None


# -- duplicates


def document(number: str, title: str = "Why?", text: str = "So.") -> Document:
    return Document(number, "c", title, text)


def test_every_id_of_the_source_leads_to_a_document(mix: Path) -> None:
    build([mix], mix.parent / "out")
    corpus = load(mix.parent / "out")
    assert corpus.kept_id("10/1-1") == "2/1-1"
    kept = corpus.find("10/1-1")
    assert kept is not None
    assert kept.id == "2/1-1"
    assert corpus.source_ids("2/1-1") == ("2/1-1", "10/1-1")
    assert corpus.source_ids("10/1-1~2") == ("10/1-1",)
    assert corpus.kept_id("no/such") is None
    assert corpus.find("no/such") is None


def test_the_first_of_equal_pairs_is_kept_whatever_their_case_and_space() -> None:
    report = Report()
    found = keep([document("a"), document("b", "WHY ?", " so"), document("c", text="No.")], report)
    assert [each.id for each in found.documents] == ["a", "c"]
    assert found.same == {"b": "a"}
    assert report.dropped == {DUPLICATE: 1}


def test_an_id_of_several_documents_is_made_unique_and_remembered() -> None:
    found = keep([document("a"), document("a", text="No."), document("a")], Report())
    assert [each.id for each in found.documents] == ["a", "a~2"]
    assert found.renamed == {"a~2": "a", "a~3": "a"}
    assert found.same == {"a~3": "a"}


def test_what_says_nothing_is_dropped_and_counted() -> None:
    report = Report()
    assert keep([document("a", text="Is it inherited?")], report).documents == []
    assert report.dropped == {SAYS_NOTHING: 1}


# -- whole or not at all


def test_a_build_that_fails_half_way_leaves_the_corpus_that_was_there(mix: Path) -> None:
    out = mix.parent / "out"
    build([mix / "own"], out)
    before = load(out).documents

    def fail(*_: Any) -> None:
        raise RuntimeError("no space left")

    with pytest.raises(RuntimeError, match="no space"):
        build([mix], out, encode=fail)
    assert load(out).documents == before
    build([mix], out)
    assert len(load(out).documents) == 7


def test_a_build_that_is_killed_half_way_leaves_the_corpus_that_was_there(mix: Path) -> None:
    out = mix.parent / "out"
    build([mix / "own"], out)
    before = load(out).documents
    code = (
        "import os, sys; from pathlib import Path; from rag.corpus.build import build;"
        "build([Path(sys.argv[1])], Path(sys.argv[2]), encode=lambda *_: os.kill(os.getpid(), 9))"
    )
    ended = subprocess.run([sys.executable, "-c", code, mix, out], check=False)
    assert ended.returncode == -9
    assert load(out).documents == before
    build([mix], out)  # the lock went with the process


def test_what_is_made_of_the_documents_lies_beside_them_before_the_manifest_names_them(
    mix: Path,
) -> None:
    out = mix.parent / "out"
    seen: list[tuple[int, bool]] = []

    def encode(folder: Path, documents: Sequence[Document], progress: Any) -> None:
        (folder / "vectors").write_bytes(bytes(len(documents)))
        seen.append((len(list(progress(documents, "Encoding"))), (out / MANIFEST).exists()))
        assert (folder / DOCUMENTS).exists()

    build([mix], out, encode=encode)
    assert seen == [(7, False)]
    assert (load(out).folder / "vectors").stat().st_size == 7


def test_other_passages_are_another_generation_and_only_the_last_two_are_kept(mix: Path) -> None:
    out = mix.parent / "out"
    names = [
        build([mix], out, chunks=ChunkSettings(size, 0)).generation for size in (100, 200, 300)
    ]
    assert len({*names}) == 3
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == sorted(names[1:])


def test_only_one_build_works_on_a_folder(mix: Path) -> None:
    out = mix.parent / "out"
    with locked(out), pytest.raises(CorpusError, match="--out"):
        build([mix], out)


# -- errors


def test_no_corpus_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="vigil corpus build"):
        load(tmp_path)


def changed(**other: Any) -> Any:
    def change(out: Path) -> None:
        found = json.loads((out / MANIFEST).read_text())
        (out / MANIFEST).write_text(json.dumps({**found, **other}))

    return change


def shortened(out: Path) -> None:
    path = next(out.rglob(DOCUMENTS))
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (shortened, "is not what its manifest says"),
        (lambda out: next(out.rglob(DOCUMENTS)).unlink(), "cannot be read"),
        (lambda out: (out / MANIFEST).write_text("{"), "is broken"),
        (lambda out: (out / MANIFEST).write_text("[]"), "is broken"),
        (changed(format="vigil-corpus/9"), "of format 'vigil-corpus/9'"),
        (changed(documents="many"), "is broken"),
    ],
)
def test_a_corpus_that_was_harmed_is_refused_with_the_remedy(
    mix: Path, harm: Any, said: str
) -> None:
    out = mix.parent / "out"
    build([mix], out)
    harm(out)
    with pytest.raises(CorpusError, match=said) as caught:
        load(out)
    assert "make the corpus again" in str(caught.value)


def test_without_any_document_nothing_is_written_and_the_reasons_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"<x/>")
    with pytest.raises(CorpusError, match=r"a\.xml: XML, but not of MedQuAD"):
        build([tmp_path / "a.xml"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        build([tmp_path / "absent"], tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(mix: Path) -> None:
    (mix / "own" / "a.md").chmod(0)
    assert ("mix/own/a.md", "Permission denied: may it be read?") in build(
        [mix], mix.parent / "out"
    ).unreadable


def test_links_in_a_folder_are_not_followed(mix: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("Private.")
    (mix / "own" / "link.md").symlink_to(secret)
    build([mix], tmp_path / "out")
    assert not any("Private" in each.text for each in load(tmp_path / "out").documents)


def _iterated(items: Sequence[Any], description: str) -> Iterator[Any]:
    assert description
    yield from items


def test_progress_is_shown_of_every_step(mix: Path) -> None:
    assert build([mix], mix.parent / "out", progress=_iterated).documents == 7
