"""One file a group of routes; each has a ``router``. Roles are declared in :mod:`annotation.server.roles`."""
