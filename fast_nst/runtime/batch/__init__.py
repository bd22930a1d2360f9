"""Many files: what is to be done, here or on several machines."""
