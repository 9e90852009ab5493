"""Reads records and published numbers; never runs a model."""
