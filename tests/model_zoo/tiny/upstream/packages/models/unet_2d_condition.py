"""Stands in for GeoWizard's own U-Net: fuxiao0719/GeoWizard @ deee629."""

from stand_in import Network


class UNet2DConditionModel(Network):
    @classmethod
    def from_pretrained(cls, name, subfolder, revision=None):
        return cls.read(f"{subfolder}/diffusion_pytorch_model.safetensors", name, revision)
