"""Hashes of what an audit does not say in clear, keyed where there is a key.

Ids are short: without a key whoever reads an audit and can guess ids can try them all.
"""

import hashlib
import hmac
import logging

from config.settings import Settings

__all__ = ["Hashes", "audit_key", "sha256_of"]

log = logging.getLogger(__name__)


def sha256_of(content: bytes) -> str:
    """Hash as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class Hashes:
    """Makes the hashes of an entry.

    Args:
        key: of HMAC-SHA-256; None = plain SHA-256.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    def of(self, kind: str, name: str) -> str:
        """Hash an id; with a key as `rag.tools.claims.subject_hash`, else the id alone."""
        if self._key is None:
            return sha256_of(name.encode())
        return self.of_bytes(f"{kind}/{name}".encode())

    def of_bytes(self, content: bytes) -> str:
        """Hash what was asked or went out: an id in it could be tried as well."""
        if self._key is None:
            return sha256_of(content)
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def of_id(self, told: str) -> str:
        """An id that was made of others: without a key as it is."""
        return told if self._key is None else self.of("id", told)


def audit_key(settings: Settings, *, warn: bool = False) -> bytes | None:
    """The key of the hashes in audits.

    Args:
        settings: of this process.
        warn: say in the log where there is none; a worker does when it starts.
    """
    if settings.audit_key is not None:
        return settings.audit_key.get_secret_value().encode()
    if warn:
        log.warning(
            "hashes of ids in the audit have no key: whoever reads it can look up a patient by "
            "trying ids. Set VIGIL_AUDIT_KEY to a secret of your own."
        )
    return None
