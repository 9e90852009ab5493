"""Errors of the pair-labelling tool, in the tree of :mod:`dabench.errors`."""

from __future__ import annotations

from dabench.errors import DabenchError, UsageError


class StudyError(DabenchError):
    """A study folder that is absent, damaged or does not fit this version."""

    exit_code = 2


class StudyLockedError(StudyError):
    """Another server or a long write holds the study."""

    exit_code = 1


class StudyFullError(StudyError):
    """Nothing can be written: the disk is full or the file system is read-only. What is stored stays readable."""

    exit_code = 1


class StepError(UsageError):
    """A step that the state of a pair, an assignment or a project does not allow."""


class NotAllowedError(UsageError):
    """A person asked for something that their role or the blindness of the study forbids."""


class NotFoundError(UsageError):
    """No such pair, image, assignment, person or project."""
