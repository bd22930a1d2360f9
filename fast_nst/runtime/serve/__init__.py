"""The HTTP service behind `fast-nst serve`: FastAPI and uvicorn in front of the same Stylizer."""
