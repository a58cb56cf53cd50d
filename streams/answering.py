"""What answers are made with, as the settings say: documents, index, rules, endpoint.

The worker and the commands make the same of it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from config.policy import load_policy
from config.settings import Settings
from rag.answering import Answerer, Ask
from rag.confidence import shipped as confidence
from rag.corpus.folder import Corpus, load
from rag.corpus.sentences import sentences
from rag.corpus.shipped import shipped
from rag.dense import DenseIndex
from rag.documents import Document
from rag.encoder import Encoder, load_encoder
from rag.endpoint import Access, Endpoint
from rag.extract import Extractor
from rag.index import build_index
from rag.onnx_encoder import OnnxEncoder
from rag.remembering import Remembering, SharedStates
from rag.retriever import Retriever
from rag.safety import Safety
from rag.safety.injection import flag
from rag.safety.net import States
from rag.safety.redact import redact
from rag.tools.registry import Setting
from rag.tools.rights import Rights
from rag.tools.scene import Ward
from streams.audit_hashes import audit_key

__all__ = ["Evidence", "answerer", "evidence", "unseen", "warm_up"]

log = logging.getLogger(__name__)

#: A question, one that names nothing, and one of a length that people write.
_WARM = (
    "What are the treatments for sepsis?",
    "What should I do?",
    "Hello, my father came home from hospital last week and has had a temperature since. " * 4
    + "What are the early signs of sepsis, please?",
)


class Evidence:
    """Documents that can be searched, and which they are.

    Attributes:
        retriever: searches them.
        encoder: of questions and documents.
        states: of messages, for the safety net, where the encoder makes them as well.
        corpus: read from the folder; None = the documents that ship.
        version: of the documents, as answers name it.
    """

    def __init__(
        self,
        retriever: Retriever,
        encoder: Encoder,
        corpus: Corpus | None,
        states: States | None = None,
    ) -> None:
        self.retriever, self.encoder, self.corpus = retriever, encoder, corpus
        self.states = states
        digest = "shipped" if corpus is None else corpus.manifest.sha256[:16]
        self.version = f"{digest}/{encoder.version}"

    def source_id(self, document_id: str) -> str:
        """Id that a document has in its source: there two may have the same, here none."""
        return self.corpus.source_ids(document_id)[0] if self.corpus else document_id


def evidence(settings: Settings, progress: Callable[[int, int], None] | None = None) -> Evidence:
    """Read the corpus and make its index; without a corpus, of the documents that ship.

    Args:
        settings: name the folder, and the Qdrant server if there is one.
        progress: told texts done and to do while vectors are made that the folder does not have.

    Raises:
        rag.corpus.manifest.CorpusError: the folder is no corpus, or a damaged one.
        rag.encoder.EncoderError: the model is missing or another one.
    """
    model = load_encoder(settings.encoder)
    encoder = Remembering(model)
    states = SharedStates(model, encoder) if isinstance(model, OnnxEncoder) else None
    folder = settings.corpus_path
    # a folder that was named has to be there; the usual one need not
    corpus = load(folder) if settings.corpus is not None or folder.exists() else None
    documents: Sequence[Document]
    if corpus is None:
        folder, documents, name = settings.home / "shipped", shipped(), "shipped"
    else:
        folder, documents, name = corpus.folder, corpus.documents, corpus.manifest.sha256[:16]
    index = build_index(folder, documents, encoder, dense=_dense(settings, name), progress=progress)
    found = Evidence(Retriever(index), encoder, corpus, states)
    log.info("%d documents to answer from, %s", len(index), found.version)
    return found


def answerer(settings: Settings, found: Evidence, ward: Ward | None = None) -> Answerer:
    """Put together what answers questions.

    Args:
        settings: of this process.
        found: what there is to answer from.
        ward: the live state; None = there is none here.

    Raises:
        ValueError: there are no emergency numbers for the region, or the policy is wrong.
    """
    policy = load_policy(settings.policy)
    rights = Rights(frozenset(settings.sees_everybody), audit_key(settings))
    return Answerer(
        Safety.load(settings.region, settings.emergency_numbers, found.states),
        found.retriever,
        confidence(settings.abstain_below),
        Extractor(sentences, flagged=flag),
        corpus=found.version,
        ward=ward,
        setting=Setting(rights, policy.episodes),
        zone=ZoneInfo(settings.time_zone),
        endpoint=_endpoint(settings),
    )


def warm_up(settings: Settings, found: Evidence) -> None:
    """Answer a few questions, so that the first person does not wait a second for what is lazy."""
    quotes_only = settings.model_copy(update={"chat_endpoint": None})
    asyncio.run(answerer(quotes_only, found).answer([Ask(text, 0) for text in _WARM]))


def unseen(settings: Settings) -> list[str]:
    """Questions that the corpus keeps apart: its production split.

    Raises:
        ValueError: there is no corpus.
    """
    folder = settings.corpus_path
    if not folder.exists():
        raise ValueError(
            "there is no corpus whose questions could be asked: make one with "
            "`vigil corpus build`, or name a file with questions"
        )
    corpus = load(folder)
    return [each.title for each in corpus.documents if corpus.side(each) == "production"]


def _dense(settings: Settings, name: str) -> DenseIndex:
    key = settings.qdrant_api_key
    return DenseIndex(
        url=settings.qdrant_url,
        api_key=None if key is None else key.get_secret_value(),
        name=f"vigil-{name}",
    )


def _endpoint(settings: Settings) -> Endpoint | None:
    if settings.chat_endpoint is None or settings.chat_endpoint_model is None:
        return None
    timeout_s = settings.chat_endpoint_timeout_s
    access = Access(
        settings.chat_endpoint,
        settings.chat_endpoint_model,
        settings.chat_endpoint_key,
        timeout_s=timeout_s,
        deadline_s=2 * timeout_s,
    )
    return Endpoint(access, redact=lambda text: redact(text).text)
