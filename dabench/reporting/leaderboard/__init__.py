"""Leaderboards: tables of measured and published numbers, one for each recipe, and what they are written as."""
