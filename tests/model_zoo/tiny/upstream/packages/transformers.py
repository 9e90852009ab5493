"""Stands in for the parts of transformers that GeoWizard is built from."""

from diffusers import AutoencoderKL


class CLIPImageProcessor(AutoencoderKL):
    pass


class CLIPVisionModelWithProjection(AutoencoderKL):
    pass
