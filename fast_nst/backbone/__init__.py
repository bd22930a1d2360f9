"""Training a classifier whose convolutions serve as a loss network."""
