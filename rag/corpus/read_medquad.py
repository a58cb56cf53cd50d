"""MedQuAD's XML: Ben Abacha & Demner-Fushman, BMC Bioinformatics 2019;20:511; CC BY 4.0.

A file is about one thing (its focus) and holds pairs of a question and an answer. Four files write
their tags in another way, and one has another root: both are read alike.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from rag.corpus.cleaning import clean, clean_line, without_html
from rag.corpus.entries import Entry, ReadError
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["UNANSWERED", "read_medquad"]

#: Why a pair without an answer is dropped: three collections' answers may not be passed on.
UNANSWERED = "no answer"
LICENCE = "CC BY 4.0, MedQuAD"
_ROOTS = ("Document", "DiseaseFile", "doc")

#: Whom a file names as its source → for people.
_SOURCES = {
    "ADAM": "A.D.A.M. Medical Encyclopedia, MedlinePlus",
    "CDC": "Centers for Disease Control and Prevention",
    "CancerGov": "National Cancer Institute",
    "GARD": "Genetic and Rare Diseases Information Center, NIH",
    "GHR": "Genetics Home Reference, National Library of Medicine",
    "MPlusDrugs": "MedlinePlus Drug Information",
    "MPlusHealthTopics": "MedlinePlus Health Topics",
    "MPlusHerbsSupplements": "MedlinePlus Herbs and Supplements",
    "NHLBI": "National Heart, Lung, and Blood Institute",
    "NIDDK": "National Institute of Diabetes and Digestive and Kidney Diseases",
    "NIHSeniorHealth": "NIHSeniorHealth",
    "NINDS": "National Institute of Neurological Disorders and Stroke",
}

#: Sentences of GARD about its own tables, in 2,600 answers; they say nothing of the disease.
_BOILERPLATE = re.compile(
    r" ?If the information is available, the table below includes how often the symptom is seen in "
    r"people with this condition\. You can use the MedlinePlus Medical Dictionary to look up the "
    r"definitions for these medical terms\."
    r"|(?<=\s)Signs and Symptoms Approximate number of patients \(when available\) ?"
    r"|The Human Phenotype Ontology \(HPO\) has collected information on how often a sign or "
    r"symptom occurs in a condition\..{0,1200}?the sign or symptom may be rare or common\.",
    re.DOTALL,
)


class _Tree(ElementTree.TreeBuilder):
    """Takes no document type: entities that it declares could swell to gigabytes."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ReadError("declares a document type, which may hide an entity bomb: remove <!DOCTYPE")


def read_medquad(entry: Entry, data: bytes, report: Report) -> Iterator[Document]:
    """Read the answered pairs of a file.

    A document's id is the number of its collection (the folder ``1_CancerGov_QA`` has 1), a slash
    and the pair's ``qid``; of a folder without a number, the folder's name.

    Raises:
        ReadError: it is no XML, or none of MedQuAD.
    """
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_Tree()))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"not XML that can be read ({error}): fetch or mend it") from None
    if root.tag not in _ROOTS:
        raise ReadError(f"XML, but not of MedQuAD: its root is <{root.tag[:40]}>")
    focus = clean_line(_first(root, "Focus", "doctitle-focus"))
    named = root.get("source") or root.get("corpus") or ""
    number = re.match(r"[0-9]+(?=_)", entry.folder)
    place = number[0] if number else entry.folder
    synonyms = dict.fromkeys(clean_line(found.text or "") for found in root.iter("Synonym"))
    for pair in root.iter():
        if pair.tag not in ("QAPair", "pair"):
            continue
        question = _child(pair, "Question", "question")
        answer = _child(pair, "Answer", "answer")
        asked = "" if question is None else clean_line(without_html(_all_text(question)))
        text = "" if answer is None else _cleaned(_all_text(answer))
        if question is None or not asked:
            report.drop("no question")
            continue
        if not text:
            report.drop(UNANSWERED)
            continue
        qid = question.get("qid") or f"{root.get('id', entry.stem)}-{pair.get('pid', '')}"
        yield Document(
            id=f"{place}/{qid}",
            collection=entry.folder,
            title=asked,
            text=text,
            focus=focus,
            synonyms=tuple(name for name in synonyms if name),
            question_type=clean_line(question.get("qtype") or ""),
            source=_SOURCES.get(named, named),
            url=(root.get("url") or "").strip(),
            licence=LICENCE,
        )


def _cleaned(answer: str) -> str:
    text = clean(without_html(answer))
    return clean(_BOILERPLATE.sub("", text)) if "Human Phenotype Ontology" in text else text


def _all_text(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


def _first(root: ElementTree.Element, *tags: str) -> str:
    for tag in tags:
        if (found := root.findtext(tag)) is not None:
            return found
    return ""


def _child(pair: ElementTree.Element, *tags: str) -> ElementTree.Element | None:
    for tag in tags:
        if (found := pair.find(tag)) is not None:
            return found
    return None
