"""The ids of what Vigil makes: the same input gives the same id, whoever works on it and how often.

The record's timestamp is part of a recommendation's id because offsets start again when a topic is
made anew.
"""

from hashlib import sha256

__all__ = ["alert_id", "answer_id", "question_id", "recommendation_id"]


def recommendation_id(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """Id of the recommendation for the reading that stands at this place.

    >>> recommendation_id("vitals", 3, 1042, 1767225600000)
    'vitals-3-1042-1767225600000'
    """
    return f"{topic}-{partition}-{offset}-{timestamp_ms}"


def alert_id(patient: str, episode_at_ms: int, tier: str, n: int, higher: bool) -> str:
    """Id of an alert: 32 hexadecimal digits that tell nothing of the patient.

    Args:
        patient: id.
        episode_at_ms: when the episode began, event time.
        tier: of the alert.
        n: how many alerts the episode had before.
        higher: it is raised again because the risk has risen further.

    >>> alert_id("a", 1767225600000, "urgent", 0, False)
    '211c81ed90f515159cadeeddebe116a9'
    """
    # the patient last: whatever is in an id, no two of these are the same
    told = f"{episode_at_ms} {tier} {n} {higher:d} {patient}"
    return sha256(told.encode()).hexdigest()[:32]


def question_id(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """Id of a question that was given none, by where it stands.

    >>> question_id("chat.questions", 3, 1042, 1767225600000)
    'chat.questions-3-1042-1767225600000'
    """
    return f"{topic}-{partition}-{offset}-{timestamp_ms}"


def answer_id(session: str, question: str) -> str:
    """Id of the answer to a question: the same whoever answers it and how often.

    Args:
        session: id of the conversation.
        question: id of the question.

    >>> answer_id("s", "q")
    '94eb576205a51b4d757ace34f5f8ff7d'
    """
    # with its length the session cannot run into the question
    return sha256(f"{len(session)} {session} {question}".encode()).hexdigest()[:32]
