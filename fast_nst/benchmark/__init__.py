"""Interleaved timing of networks, and the throughput of training."""
