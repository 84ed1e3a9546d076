"""How a connector asks an HTTP source that is slow, strict or away: some tries, ever longer pauses, `Retry-After` obeyed."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx

from samenloop_connectors.sdk.errors import TransientError

TRIES = 5
LONGEST_WAIT = 60.0


def patiently(call: Callable[[], httpx.Response], wait: Callable[[float], bool], who: str) -> httpx.Response:
    """The first answer that is neither 429 nor 5xx. Raises TransientError that begins with `who`.

    `wait` pauses for some seconds; when it says that the connector has to stop, the call gives up. A `Retry-After` above a
    minute is not waited for here: it goes out with the error.
    """
    said, asked = "", None
    for attempt in range(TRIES):
        asked = None
        try:
            answer = call()
        except httpx.TransportError as error:
            said = type(error).__name__
        else:
            if answer.status_code != 429 and answer.status_code < 500:
                return answer
            said, asked = f"HTTP {answer.status_code}", retry_after(answer)
        if asked is not None and asked > LONGEST_WAIT:
            break
        pause = asked if asked is not None else min(0.25 * 2**attempt, LONGEST_WAIT)
        if attempt == TRIES - 1 or wait(pause + random.uniform(0, 0.1)):
            break
    raise TransientError(f"{who} does not answer: {said}", retry_after=asked)


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds; a date in its place counts as not said, since clocks differ."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "")))
    except ValueError:
        return None
