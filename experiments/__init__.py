"""Studies built on dabench and the model zoo; each folder has its own page of results."""
