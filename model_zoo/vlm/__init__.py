"""Multimodal language models asked which of two marked points is closer (Depth Anything V2 names DA-2K a testbed)."""
