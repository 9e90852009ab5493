"""Stands in for `unik3d.models`: lpiccinelli-eth/UniK3D @ 29f7862, `UniK3D.infer`."""

from unidepth.models import _UniDepth


class UniK3D(_UniDepth):
    def infer(self, rgb, camera=None, rays=None, normalize=True):
        assert camera is None and rays is None and normalize
        return self.depth(rgb)
