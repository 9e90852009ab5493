"""Training of Depth Anything V2: losses, rendered data, augmentation and the bundled tiny model."""
