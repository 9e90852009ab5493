"""Statistics of results: intervals, paired tests and ranks. One place to import them from."""

from __future__ import annotations

from dabench.scoring.intervals import (
    BOOTSTRAP_DRAWS,
    BOOTSTRAP_SEED,
    Interval,
    Method,
    bootstrap_ci,
    clopper_pearson,
    cluster_bootstrap_interval,
    cluster_bootstrap_intervals,
    ratio_ci,
    wilson,
    wilson_interval,
)
from dabench.scoring.paired import (
    PERMUTATIONS,
    POWER,
    difference_sums,
    holm,
    mcnemar_exact,
    minimum_detectable_difference,
    paired_bootstrap,
    paired_permutation,
    standard_error,
)
from dabench.scoring.ranks import rank_sets

__all__ = [
    "BOOTSTRAP_DRAWS",
    "BOOTSTRAP_SEED",
    "PERMUTATIONS",
    "POWER",
    "Interval",
    "Method",
    "bootstrap_ci",
    "clopper_pearson",
    "cluster_bootstrap_interval",
    "cluster_bootstrap_intervals",
    "difference_sums",
    "holm",
    "mcnemar_exact",
    "minimum_detectable_difference",
    "paired_bootstrap",
    "paired_permutation",
    "rank_sets",
    "ratio_ci",
    "standard_error",
    "wilson",
    "wilson_interval",
]
