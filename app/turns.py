"""Whose sentence is spoken next: one at a time, first sentences before second ones, and a bounded queue.

A request of one sentence behind eight long ones waits for the sentence in work and for the first sentences before it,
not for the long ones' ends.
"""

from __future__ import annotations

import heapq
import threading
from itertools import count

MOST_WAITING = 32
"""Requests that are spoken or wait; one more is sent away (503)."""


class Busy(Exception):
    """The queue is full."""


class Ticket:
    """A place in the queue for one sentence."""

    def __init__(self, turns: Turns, rank: int, number: int) -> None:
        self._turns, self._order, self._ready, self._left = turns, (rank, number), threading.Event(), False

    def wait(self, seconds: float) -> bool:
        """Whether it is this one's turn, after at most `seconds`; a place in the queue is kept."""
        return self._ready.wait(seconds)

    def leave(self) -> None:
        """Give the turn, or the place in the queue, to the next; again does nothing."""
        self._turns._leave(self)

    def __lt__(self, other: Ticket) -> bool:
        return self._order < other._order


class Turns:
    """Gives one ticket at a time its turn: the lowest rank first, and of those who came first."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most, self._lock, self._numbers = most, threading.Lock(), count()
        self._waiting: list[Ticket] = []
        self._speaking: Ticket | None = None
        self._requests = 0

    def enter(self) -> None:
        """Count one request in. Raises Busy when there are too many."""
        with self._lock:
            if self._requests >= self._most:
                raise Busy
            self._requests += 1

    def exit(self) -> None:
        """Count one request out."""
        with self._lock:
            self._requests -= 1

    def join(self, rank: int) -> Ticket:
        """A ticket for sentence number `rank` of a request."""
        with self._lock:
            ticket = Ticket(self, rank, next(self._numbers))
            heapq.heappush(self._waiting, ticket)
            self._next()
            return ticket

    def _next(self) -> None:
        while self._speaking is None and self._waiting:
            ticket = heapq.heappop(self._waiting)
            if not ticket._left:
                self._speaking = ticket
                ticket._ready.set()

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket._left:
                return
            ticket._left = True
            if self._speaking is ticket:
                self._speaking = None
                self._next()
