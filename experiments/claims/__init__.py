"""Claims of Depth Anything V2 (arXiv 2406.09414), tested in miniature; `run.py` is the entry, RESULTS.md the page."""
