from dfm import DepthFM  # noqa: F401
