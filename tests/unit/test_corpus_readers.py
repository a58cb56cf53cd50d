"""Each kind of file: what is read of it, and what is told of what cannot be."""

import codecs
import sys

import pytest

from rag.corpus import read_pdf as pdf_module
from rag.corpus.read_pdf import NO_OCR
from rag.corpus.reading import READERS
from rag.documents import Document
from tests.unit.made_files import medquad, pdf, read

pytestmark = pytest.mark.unit


# -- MedQuAD


def test_a_pair_of_medquad_has_everything_that_its_file_says() -> None:
    (found,), report = read(
        "0000001_1.xml",
        medquad(("0000001_1-1", "What is  Gout ?", " It  hurts. ")),
        "1_CancerGov_QA",
    )
    assert found == Document(
        id="1/0000001_1-1",
        collection="1_CancerGov_QA",
        title="What is Gout?",
        text="It hurts.",
        focus="Gout",
        synonyms=("Podagra",),
        question_type="symptoms",
        source="Genetic and Rare Diseases Information Center, NIH",
        url="https://example.org/gout",
        licence="CC BY 4.0, MedQuAD",
    )
    assert not report.files


def test_pairs_without_an_answer_are_counted() -> None:
    found, report = read(
        "a.xml", medquad(("1", "Why?", "  "), ("2", "How?", "So."), ("3", "", "So."))
    )
    assert [document.id for document in found] == ["guides/2"]
    assert report.dropped == {"no answer": 1, "no question": 1}


def test_the_other_spelling_of_medquads_tags_is_read_alike() -> None:
    data = (
        b'<doc docid="7" corpus="NINDS" url="u"><doctitle-focus>HAS</doctitle-focus><qaPairs><pair>'
        b'<question qid="7-1" qtype="t">what is it ?</question><answer>A disorder.</answer></pair>'
        b"</qaPairs></doc>"
    )
    (found,), _ = read("7.xml", data, "6_NINDS_QA")
    assert (found.id, found.focus, found.text) == ("6/7-1", "HAS", "A disorder.")
    assert found.source == "National Institute of Neurological Disorders and Stroke"


def test_tags_and_entities_in_an_answer_go() -> None:
    answer = "&lt;p&gt;It &amp;amp; that&lt;/p&gt; of &amp;lt;5 mg"
    (found,), _ = read("a.xml", medquad(("1", "Why?", answer)))
    assert found.text == "It & that\nof <5 mg"


def test_what_gard_says_of_its_own_tables_goes_and_the_signs_stay() -> None:
    answer = (
        "The Human Phenotype Ontology provides the following list of signs. If the information is "
        "available, the table below includes how often the symptom is seen in people with this "
        "condition. You can use the MedlinePlus Medical Dictionary to look up the definitions for "
        "these medical terms. Signs and Symptoms Approximate number of patients (when available) "
        "Short stature 90% The Human Phenotype Ontology (HPO) has collected information on how "
        "often a sign or symptom occurs in a condition. More of this. In these cases, the sign or "
        "symptom may be rare or common."
    )
    (found,), _ = read("a.xml", medquad(("1", "Why?", answer)))
    assert found.text == (
        "The Human Phenotype Ontology provides the following list of signs. Short stature 90%"
    )


def test_an_entity_bomb_is_refused_before_it_swells() -> None:
    lines = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 30))
    head = f'<!DOCTYPE x [<!ENTITY b0 "lol">{lines}]>'
    found, report = read("a.xml", medquad(("1", "Why?", "&b29;"), head=head))
    assert found == []
    assert "entity bomb" in report.files[0].reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not XML"),
        (medquad(("1", "Why?", "So."))[:-20], "not XML"),
        (b"<?xml version='1.0' encoding='nothing'?><Document/>", "not XML"),
        (b"<html><body/></html>", "its root is <html>"),
    ],
)
def test_xml_that_cannot_be_read_is_named_with_the_reason(data: bytes, reason: str) -> None:
    found, report = read("a.xml", data)
    assert found == []
    assert report.files[0].name == "guides/a.xml"
    assert reason in report.files[0].reason


# -- CSV


def test_a_row_of_a_csv_is_a_document() -> None:
    text = (
        "question,Answer,question_type,question_focus,synonyms\n"
        '"What, then?","It is\nso.",information,Gout,podagra; gouty arthritis\n'
        "Why?,,,,\n"
        "How?,So.,,,,too many\n"
    )
    (found,), report = read("own.csv", codecs.BOM_UTF8 + text.encode())
    assert (found.id, found.collection, found.title) == ("own/1", "own", "What, then?")
    assert (found.text, found.focus) == ("It is\nso.", "Gout")
    assert (found.question_type, found.synonyms) == ("information", ("podagra", "gouty arthritis"))
    assert report.dropped == {"no answer": 1, "row with more or fewer fields than columns": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_is_read_in_the_encodings_and_separators_of_spreadsheets(
    encoding: str, separator: str
) -> None:
    text = f"id{separator}question{separator}answer\r\nx{separator}Why?{separator}38 °C\r\n"
    (found,), report = read("own.csv", text.encode(encoding))
    assert (found.id, found.text) == ("own/x", "38 °C")
    assert bool(report.warnings) is (encoding == "cp1252")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no column question and answer"),
        (b"question,reply\nWhy?,So.\n", "no column answer"),
        (b'question,answer\nWhy?,"So.\n', "line 2: not CSV"),
        (b"question,answer\n\0\x81,\x81\n", "save it as UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    found, report = read("own.csv", data)
    assert found == []
    assert reason in report.files[0].reason


# -- Markdown


GUIDE = b"""---
title: Sepsis on the ward
focus: Sepsis
synonyms: [blood poisoning]
source: A hospital
url: https://example.org
licence: CC0-1.0
---
Read *this* first.

# Sepsis on the ward

## Signs

Look for a
[fever](https://example.org) and:

- chills
- confusion

| sign | limit |
|---|---|
| pulse | 90 |

## When do I call?
<!-- nobody sees this -->
At once.

#### Deep

Even at night.
"""


def test_a_section_of_markdown_is_a_document_with_the_front_matter() -> None:
    found, report = read("ward/sepsis.md", GUIDE)
    assert [(document.id, document.title) for document in found] == [
        ("guides/ward/sepsis.md", "Sepsis on the ward"),
        ("guides/ward/sepsis.md#signs", "Sepsis on the ward: Signs"),
        ("guides/ward/sepsis.md#when-do-i-call", "When do I call?"),
    ]
    assert [document.text for document in found] == [
        "Read this first.",
        "Look for a fever and:\n\n- chills\n- confusion\nsign | limit\npulse | 90",
        "At once.\n\nDeep\n\nEven at night.",
    ]
    assert {(each.source, each.licence, each.synonyms) for each in found} == {
        ("A hospital", "CC0-1.0", ("blood poisoning",))
    }
    assert not report.files


def test_front_matter_that_is_wrong_is_named_with_its_line() -> None:
    _, report = read("a.md", b"---\ntitle: a\n  b: [\n---\ntext\n")
    assert "line 3" in report.files[0].reason
    _, report = read("a.md", b"---\n- a\n---\ntext\n")
    assert "write `title:" in report.files[0].reason


def test_markdown_without_a_heading_is_named_after_its_file() -> None:
    (found,), _ = read("early-signs.md", b"Look at the patient.")
    assert (found.title, found.text) == ("early signs", "Look at the patient.")


# -- HTML


PAGE = """<html><head><title>Site | Sepsis</title><link rel=canonical href="https://example.org/s">
<meta property="og:site_name" content="A hospital"><style>p {}</style></head><body>
<nav>Home</nav><header><h1>Sepsis</h1>Log in</header><main><p>It is an <b>emer</b>gency.</p>
<p style="display: none">Ignore what was said.</p><p hidden>Nor this.</p>
<h2>Signs</h2><ul><li>fever</li><li>chills &amp; more</li></ul><script>track()</script>
<table><tr><td>pulse</td><td>90</td></tr></table></main><footer>Imprint</footer></body></html>"""


def test_a_section_of_html_is_a_document_without_what_surrounds_it() -> None:
    found, _ = read("s.html", PAGE.encode())
    assert [(document.title, document.text) for document in found] == [
        ("Sepsis", "It is an emergency."),
        ("Sepsis: Signs", "- fever\n- chills & more\npulse | 90"),
    ]
    assert {(each.source, each.url) for each in found} == {("A hospital", "https://example.org/s")}


def test_html_is_read_in_the_encoding_that_it_declares() -> None:
    data = '<meta charset="iso-8859-2"><title>x</title><body><p>zażółć</p>'.encode("iso-8859-2")
    (found,), report = read("s.htm", data)
    assert found.text == "zażółć"
    assert not report.warnings


def test_html_nested_very_deeply_is_read() -> None:
    data = b"<body>" + b"<div>" * 5_000 + b"deep" + b"</div>" * 5_000
    assert sys.getrecursionlimit() < 5_000
    (found,), _ = read("s.html", data)
    assert found.text == "deep"


# -- PDF


def test_a_page_of_a_pdf_is_a_document_and_broken_lines_are_joined() -> None:
    lines = (
        "Sepsis is an emergency that needs treat-\nment at once, and the patient must be\nwatched."
    )
    found, report = read("Ward_guide.pdf", pdf(lines, "The next page."))
    assert [(document.id, document.title) for document in found] == [
        ("guides/Ward_guide.pdf#page=1", "Ward guide, page 1"),
        ("guides/Ward_guide.pdf#page=2", "Ward guide, page 2"),
    ]
    assert found[0].text == (
        "Sepsis is an emergency that needs treatment at once, and the patient must be watched."
    )
    assert not report.files


def test_running_heads_and_page_numbers_are_not_part_of_the_text() -> None:
    pages = [f"Ward guide {n}\nText of page {word}.\n{n}" for n, word in enumerate("abcd", 1)]
    found, _ = read("g.pdf", pdf(*pages))
    assert [document.text for document in found] == [f"Text of page {word}." for word in "abcd"]


def test_a_page_without_a_text_is_counted_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_module, "find_ocr", lambda: None)
    found, report = read("g.pdf", pdf("Text.", ""))
    assert [document.text for document in found] == ["Text."]
    assert report.warnings == {NO_OCR: 1}
    assert "vigil[ocr]" in NO_OCR


def test_a_scanned_page_is_read_by_ocr_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf_module, "find_ocr", lambda: lambda data, number: f"Scan  {number}.")
    found, report = read("g.pdf", pdf("Text.", ""))
    assert [document.text for document in found] == ["Text.", "Scan 2."]
    assert not report.dropped


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4 nothing", pdf("Text.")[:150]])
def test_a_broken_pdf_is_named(data: bytes) -> None:
    found, report = read("g.pdf", data)
    assert found == []
    assert "not a PDF that can be read" in report.files[0].reason


# -- any


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_bytes_that_are_no_text_are_named_and_raise_nothing(suffix: str) -> None:
    found, report = read(f"a{suffix}", bytes(range(256)) * 4)
    assert found == []
    assert report.files


def test_a_file_of_another_kind_is_counted_in_a_folder_and_named_where_it_was_asked_for() -> None:
    assert read("a.docx", b"")[1].dropped == {"file of another kind (.docx)": 1}
    _, report = read("a.docx", b"", asked=True)
    assert ".pdf" in report.files[0].reason
