"""Functions of arrays: alignment, metrics, pair comparison and statistics. Nothing here reads a file or runs a model."""
