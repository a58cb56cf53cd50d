"""Safety: what comes before retrieval, and what may leave the process.

`Safety` reads each message, by rules and a net behind them: emergencies, crises, and what is not
for Vigil to answer. `redact`
takes identifiers out of a text, `injection` keeps a text from being taken for instructions, and
`rate` limits how much one session may ask.
"""

from rag.safety.gate import Safety, Verdict

__all__ = ["Safety", "Verdict"]
