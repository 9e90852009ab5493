"""The pair-labelling tool: propose, label, review and export DA-2K-style point pairs."""

from annotation.study import Study

__all__ = ["Study"]
