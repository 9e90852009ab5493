"""Stands in for `moge.model.v2`, whose `infer` takes the same names in another order."""

from .v1 import MoGeModel  # noqa: F401
