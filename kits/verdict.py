"""What a kit concludes. It needs no installed library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What was measured or checked, its target, the result, and whether that is good enough."""

    subject: str
    target: str
    measured: str
    passed: bool

    def __str__(self) -> str:
        return f"{self.word}: {self.subject}: {self.measured}"

    @property
    def word(self) -> str:
        return "pass" if self.passed else "FAIL"
