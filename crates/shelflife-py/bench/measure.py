"""Rounds in which contenders take turns, and what is to be made of their times."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from statistics import median

#: Gives the time of one operation in ns, measured over as many as it takes.
Turn = Callable[[], float]


class Times:
    """The times of one contender, round by round."""

    def __init__(self) -> None:
        self.rounds: list[float] = []

    def median(self) -> float:
        return median(self.rounds)

    def over(self, other: Times) -> float:
        """The median of the rounds' ratios."""
        return median(a / b for a, b in zip(self.rounds, other.rounds))

    def above(self, other: Times) -> float:
        """The median of the rounds' differences."""
        return median(a - b for a, b in zip(self.rounds, other.rounds))


def compete(rounds: int, contenders: dict[str, Turn]) -> dict[str, Times]:
    """Lets every contender have a turn in every round, after one round to warm up."""
    times = {name: Times() for name in contenders}
    for round in range(rounds + 1):
        for name, turn in contenders.items():
            gc.collect()
            took = turn()
            if round > 0:
                times[name].rounds.append(took)
    return times


def calls(loop: asyncio.AbstractEventLoop, call: Callable[[int], Awaitable[object]], count: int, callers: int = 1) -> Turn:
    """A turn of so many calls, shared among callers that call at the same time. `call` gets the number of the call."""

    async def some(first: int) -> None:
        for n in range(first, count, callers):
            await call(n)

    async def all_of_them() -> float:
        began = time.perf_counter_ns()
        if callers == 1:
            await some(0)
        else:
            await asyncio.gather(*(some(first) for first in range(callers)))
        return (time.perf_counter_ns() - began) / count

    return lambda: loop.run_until_complete(all_of_them())
