"""Stands in for the parts of diffusers that GeoWizard and DepthFM are built from."""

from stand_in import Network


class AutoencoderKL(Network):
    loaded = None

    @classmethod
    def from_pretrained(cls, name, subfolder=None, revision=None):
        AutoencoderKL.loaded = (name, subfolder)
        return cls()


class DDIMScheduler(AutoencoderKL):
    pass
