"""Models that live in another Python environment and are driven as a subprocess: image in, array out.

``worker`` is what runs there, ``process`` what starts and talks to it, ``model`` the :class:`~dabench.types.DepthModel`
over both; ``location`` knows where environments are, ``recipe`` what belongs in one and ``build`` makes it. The
protocol and the way to bring a model of one's own are described in docs/environments.md.
"""
