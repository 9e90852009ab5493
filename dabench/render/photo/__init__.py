"""The photo split: a second world that shares no object, texture, scene or style with the train and held-out splits."""
