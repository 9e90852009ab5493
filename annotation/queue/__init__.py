"""Who is asked what, and what becomes of the answers."""

from .types import Answer, Dispute, Feedback, QualificationState, Receipt, Task, TaskBatch, Undone

__all__ = ["Answer", "Dispute", "Feedback", "QualificationState", "Receipt", "Task", "TaskBatch", "Undone"]
