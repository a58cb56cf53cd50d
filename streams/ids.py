"""The ids of what Vigil makes: the same input gives the same id, whoever works on it and how often.

The record's timestamp is part of the id because offsets start again when a topic is made anew.
"""

__all__ = ["recommendation_id"]


def recommendation_id(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """Id of the recommendation for the reading that stands at this place.

    >>> recommendation_id("vitals", 3, 1042, 1767225600000)
    'vitals-3-1042-1767225600000'
    """
    return f"{topic}-{partition}-{offset}-{timestamp_ms}"
