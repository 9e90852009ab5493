"""Depth Anything V2 (arXiv 2406.09414): our own implementation, equal to the official one to rounding."""
