"""Users who ask through the broker at human pace: they type, wait, read and ask again.

How fast people are: 40 words a minute typed (Dhakal et al., CHI 2018: 52 on keyboards, fewer on
phones), 238 read (Brysbaert, J Mem Lang 2019).
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from config.settings import Settings
from streams.asking import Asker
from streams.chat_events import ChatAnswer, Question

__all__ = ["Asked", "Users"]

_TYPED_PER_S, _READ_PER_S = 40 / 60, 238 / 60
#: Nobody reads longer than this before the next question.
_READS_S = 30.0
#: Questions that a person asks before leaving.
_SESSION = (1, 4)
_ANSWER_S = 30.0


@dataclass
class Asked:
    """What became of the questions.

    Attributes:
        outcomes: how often each.
        latencies_s: from the question to its answer, of each answer.
        unanswered: questions without an answer in half a minute.
        repeats: answers that came again.
        different: answers that came again and said something else.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    repeats: int = 0
    different: int = 0

    def percentile_ms(self, percent: float) -> float | None:
        """Latency that so many per cent of the answers stay below, ms; None without answers."""
        if not self.latencies_s:
            return None
        return float(np.percentile(self.latencies_s, percent)) * 1000


class Users:
    """People who ask.

    Args:
        settings: name the broker.
        questions: drawn from at random.
        heard: called with each question and its answer.
        seed: of all that happens by chance.
    """

    def __init__(
        self,
        settings: Settings,
        questions: Sequence[str],
        heard: Callable[[str, ChatAnswer], None] = lambda question, answer: None,
        seed: int = 0,
    ) -> None:
        if not questions:
            raise ValueError("there is nothing to ask: name a file with questions")
        self._settings, self._questions, self._heard = settings, questions, heard
        self._random = random.Random(seed)
        self._asked = Asked()

    async def live(self, people: int, seconds: float, pace: float = 1.0) -> Asked:
        """Let people ask side by side for a while.

        Args:
            people: how many at once; who leaves is replaced.
            seconds: how long.
            pace: 2 = twice as fast as people are.
        """
        async with Asker(self._settings) as asker:
            ends = asyncio.get_running_loop().time() + seconds
            await asyncio.gather(*(self._person(asker, ends, pace) for _ in range(people)))
            return self._all_of(asker)

    async def flood(self, rate: float, seconds: float) -> Asked:
        """Ask at a fixed rate, each question in a session of its own.

        Args:
            rate: questions a second.
            seconds: how long.
        """
        async with Asker(self._settings) as asker:
            clock = asyncio.get_running_loop().time
            began, sent = clock(), 0
            asking: list[asyncio.Task[ChatAnswer | None]] = []
            while (due := began + sent / rate) < began + seconds:
                await asyncio.sleep(max(0.0, due - clock()))
                asking.append(asyncio.create_task(self._ask(asker, _session(), self._draw())))
                sent += 1
            await asyncio.gather(*asking)
            return self._all_of(asker)

    async def _person(self, asker: Asker, ends: float, pace: float) -> None:
        clock = asyncio.get_running_loop().time
        # not all at once
        await asyncio.sleep(self._random.uniform(0, 5) / pace)
        while clock() < ends:
            session = _session()
            for _ in range(self._random.randint(*_SESSION)):
                text = self._draw()
                await asyncio.sleep(_seconds(text, _TYPED_PER_S) / pace)
                if clock() >= ends:
                    return
                answer = await self._ask(asker, session, text)
                if answer is not None:
                    reads_s = min(_seconds(answer.text, _READ_PER_S), _READS_S)
                    await asyncio.sleep(reads_s / pace)

    async def _ask(self, asker: Asker, session: str, text: str) -> ChatAnswer | None:
        clock = asyncio.get_running_loop().time
        question = Question(session_id=session, text=text, question_id=uuid.uuid4().hex)
        began = clock()
        waiting = await asker.send(question)
        try:
            answer = await asyncio.wait_for(waiting, _ANSWER_S)
        except TimeoutError:
            self._asked.unanswered += 1
            return None
        self._asked.latencies_s.append(clock() - began)
        self._asked.outcomes[answer.outcome] += 1
        self._heard(text, answer)
        return answer

    def _all_of(self, asker: Asker) -> Asked:
        self._asked.repeats, self._asked.different = asker.repeats, asker.different
        return self._asked

    def _draw(self) -> str:
        return self._random.choice(self._questions)


def _session() -> str:
    return uuid.uuid4().hex


def _seconds(text: str, words_per_s: float) -> float:
    return len(text.split()) / words_per_s
