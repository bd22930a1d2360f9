"""Runs exported models; never imports torch."""

import os

# ONNX Runtime from 1.29 on reports every model and session to Microsoft, and keeps files about it. It
# looks at this when it is imported; one who wants the reports sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
