"""Models made of Stable Diffusion's parts: Marigold, the end-to-end fine-tuned ones, and Lotus.

All have one layout on the hub (`unet/`, `vae/`, `text_encoder/`, `tokenizer/`) and differ in how a map is computed
from an image: :mod:`.marigold` denoises in steps, :mod:`.one_step` evaluates the network once.
"""

from __future__ import annotations

from .factory import load

__all__ = ["load"]
