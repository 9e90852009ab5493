"""Pairs worth asking about: candidates, votes of experts, and a draw of known probability."""

from annotation.proposals.propose import propose
from annotation.proposals.report import ProposalReport
from annotation.proposals.settings import ProposalSettings

__all__ = ["ProposalReport", "ProposalSettings", "propose"]
