"""A human who answers by script."""

from typing import Any, Protocol


class Question(Protocol):
    """An open question: ``clew.service.runs.Waiting``."""

    @property
    def key(self) -> str: ...
    @property
    def request(self) -> Any: ...


class Answers(Protocol):
    """What the human needs of an ``AsyncEngine``."""

    async def approve(
        self, run: str, value: Any = None, *, key: str | None = None, by: str = "", why: str = ""
    ) -> Any: ...
    async def reject(self, run: str, *, key: str | None = None, by: str = "", why: str = "") -> Any: ...


class Rejection:
    """An answer that refuses."""

    def __init__(self, why: str = "") -> None:
        self.why = why


class ScriptedHuman:
    """Answers a run's questions in the order in which they are asked. ``asked`` keeps every request that was shown.

    An answer is a value, or ``ScriptedHuman.no(why)``. Raises IndexError when more is asked than the script answers.
    """

    def __init__(self, *answers: Any, name: str = "ada") -> None:
        self.name = name
        self.asked: list[Any] = []
        self._answers = list(answers)

    @staticmethod
    def no(why: str = "") -> Rejection:
        return Rejection(why)

    async def attend(self, engine: Answers, result: Any) -> Any:
        """Answer until the run asks nothing any more; returns how it stands then."""
        while result.waiting:
            question: Question = result.waiting[0]
            self.asked.append(question.request)
            answer: Any = self._answers.pop(0)
            if isinstance(answer, Rejection):
                result = await engine.reject(result.run_id, key=question.key, by=self.name, why=answer.why)
            else:
                result = await engine.approve(result.run_id, answer, key=question.key, by=self.name)
        return result
