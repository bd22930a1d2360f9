"""The parts of scripts/fuzz_inputs.py."""
