"""The output of the demo: one line per step, in color on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.text import Text

from czo_auth.core.text import escape_control

_SHOWN: Final = 8
_MAX_LENGTH: Final = 400
_TICK_SECONDS: Final = 0.25


class Mismatch(Exception):
    """Something did not behave as documented."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")


class StepPrinter:
    """Prints steps as they happen, and remembers which secrets were shown to the client."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self.steps = 0
        self.secrets: set[str] = set()

    @property
    def on_terminal(self) -> bool:
        """Whether a person is watching."""
        return self._console.is_terminal

    def heading(self, title: str) -> None:
        """Print the heading of a part."""
        self._console.print(Text(f"\n{title}", style="bold"))

    def step(self, what: str, asked: str, answer: str) -> None:
        """Print a step that succeeded."""
        self.steps += 1
        line = Text.assemble(
            (f"{self.steps:>3} ", "dim"),
            ("✓ ", "green"),
            f"{what:<41}",
            (f" {asked:<44}", "cyan"),
            f" {answer}",
        )
        self._console.print(line)

    def fault(self, what: str, asked: str, mismatch: Mismatch) -> None:
        """Print a step that failed."""
        self._console.print(
            Text.assemble(
                ("    ✗ ", "bold red"), f"{what} ", (asked, "cyan"), f"\n      {clean(str(mismatch))}"
            )
        )

    def say(self, text: str, style: str = "") -> None:
        """Print something that is not a step."""
        self._console.print(Text(text, style=style))

    def drawing(self, text: str) -> None:
        """Print a drawing, without wrapping or color."""
        print(text, flush=True)

    def secret(self, value: str) -> str:
        """Remember a secret, and return the part that may be shown."""
        self.secrets.add(value)
        return f"{value[:_SHOWN]}…"

    def wait_until(self, why: str, is_over: Callable[[], bool], *, seconds: float) -> bool:
        """Wait with a visible countdown; False when *seconds* went by."""
        end = time.monotonic() + seconds
        if is_over():
            return True
        if not self.on_terminal:
            self.say(f"    … {why} (up to {seconds:.0f} s)", "dim")
        with self._console.status(why) as shown:
            while (left := end - time.monotonic()) > 0:
                shown.update(f"{why}: {left:.0f} s")
                time.sleep(min(_TICK_SECONDS, left))
                if is_over():
                    return True
        return is_over()


def clean(text: str) -> str:
    """Shorten an answer to fit into a line."""
    return escape_control(text, limit=_MAX_LENGTH)
