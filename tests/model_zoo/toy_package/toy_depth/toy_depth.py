"""A depth package with a pin that conflicts with dabench's own."""

import typer

print("toy_depth is chatty")


class ToyDepth:
    def __init__(self, scale):
        assert typer.OLD, "this typer is not the one that was pinned"
        self.scale = scale

    def infer(self, image):
        """uint8 [H, W, 3] RGB -> depth [H, W]: red is far."""
        return self.scale * (1.0 + image[..., 0])
