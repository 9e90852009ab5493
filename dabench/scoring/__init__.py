"""Functions of arrays: alignment, metrics, pairs and statistics. Nothing here reads a file or runs a model."""
