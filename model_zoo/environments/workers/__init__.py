"""One adapter a family. They run in that family's environment, by path, and are never imported here."""
