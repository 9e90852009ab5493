"""Procedural scenes with exact z-depth, rendered by Mitsuba 3: training data and the bundled `mini` benchmark.

A scene is described in NumPy (`rooms`, `outdoors`, `tabletop`, `underwater`), built and lit by Mitsuba (`backend`),
turned into a photograph or a painting (`finish`), and written with depth and pairs (`dataset`).
"""
