# The service and nothing else: no torch, no compiler, no clone.
#
#     docker build -t fast-nst .
#     docker run -p 8000:8000 --memory 4g fast-nst
#     docker run -p 8000:8000 -v ./styles:/styles:ro fast-nst --model /styles/candy.onnx,strokes

FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check '.[serve]' \
    && /venv/bin/pip uninstall --yes --quiet pip

FROM python:3.12-slim
# Two arenas: with one for each thread, glibc keeps far more memory than is in use.
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2
COPY --from=build /venv /venv
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin service
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["fast-nst", "serve", "--host", "0.0.0.0"]
