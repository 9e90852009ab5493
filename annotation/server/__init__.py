"""The HTTP server of a study: pages, JSON routes, pictures."""

from .app import create_app

__all__ = ["create_app"]
