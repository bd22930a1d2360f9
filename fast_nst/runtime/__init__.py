"""Runs exported models; never imports torch."""
