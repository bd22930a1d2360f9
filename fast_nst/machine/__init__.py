"""The machine this runs on: its limits, and how to name it."""
