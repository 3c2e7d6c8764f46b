"""Where a training's reports go in a test."""

from __future__ import annotations

from collections.abc import Mapping

from hpsearch.trial import Answer, Report


class Channel:
    """Answers from a table by step, and keeps what it was told."""

    def __init__(self, answers: Mapping[int, Answer] | None = None) -> None:
        self.answers = answers or {}
        self.reports: list[Report] = []
        self.last: list[bool] = []

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Of each report."""
        return [dict(report.metrics) for report in self.reports]

    def report(self, report: Report, last: bool) -> Answer | None:
        self.reports.append(report)
        self.last.append(last)
        return self.answers.get(report.step)
