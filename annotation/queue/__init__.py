"""Who is asked what, and what becomes of the answers."""

from .adjudication import Decided, decide, disputes
from .answering import give_answer
from .assignment import give_back, heartbeat, next_tasks
from .placing import place_pair
from .qualification import qualification_state
from .types import Answer, Dispute, Feedback, QualificationState, Receipt, Task, TaskBatch, Undone
from .undo import history, undo

__all__ = [
    "Answer",
    "Decided",
    "Dispute",
    "Feedback",
    "QualificationState",
    "Receipt",
    "Task",
    "TaskBatch",
    "Undone",
    "decide",
    "disputes",
    "give_answer",
    "give_back",
    "heartbeat",
    "history",
    "next_tasks",
    "place_pair",
    "qualification_state",
    "undo",
]
