"""What is asked, in plain words. A changed text is a new version, and both are recorded."""

from __future__ import annotations

VERSION = 1
QUESTION = (
    "Two points are marked in this picture. Each point lies at the centre of a ring, or at the tip of a pointer, and a "
    "box with its letter, A or B, is tied to it. The markers are drawn on top of the picture and are no part of the "
    "scene. Look at the surface that is visible at each point itself.\n"
    "Which of the two points is closer to the camera, A or B?\n"
    "You may think first. Then end with exactly one line of this form and nothing after it:\n"
    "Answer: A\n"
    "or\n"
    "Answer: B"
)
REMINDER = "That could not be read. Reply with exactly one line and nothing else: Answer: A or Answer: B"
