"""A camera in a style, for other programs: its newest frame, the size that keeps up, a virtual camera."""
