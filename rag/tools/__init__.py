"""Live patient tools: typed questions to the ward, each answered for somebody who may know.

`match` finds the tool that a question in words is for, `call` calls one by name.
"""

from rag.tools.argument_texts import ToolArgumentError
from rag.tools.claims import Claims, Refusal, read_claims
from rag.tools.matching import Match, match
from rag.tools.registry import Setting, Tool, call, catalogue, openai_tools
from rag.tools.results import NothingKnown, Result
from rag.tools.rights import Rights
from rag.tools.scene import Ward

__all__ = [
    "Claims",
    "Match",
    "NothingKnown",
    "Refusal",
    "Result",
    "Rights",
    "Setting",
    "Tool",
    "ToolArgumentError",
    "Ward",
    "call",
    "catalogue",
    "match",
    "openai_tools",
    "read_claims",
]
