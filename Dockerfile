# The web process and the worker. Build arguments choose nothing: what is installed is what the constraints pin.
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends tesseract-ocr \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --create-home provenant \
    && install -d -o provenant /var/lib/provenant /var/lib/provenant-models
WORKDIR /opt/provenant
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY governance governance
COPY ingest ingest
COPY assistant assistant
COPY finetune finetune
COPY ui ui
RUN pip install --no-cache-dir --constraint constraints.txt ".[models,postgres,readers]"
USER provenant
EXPOSE 7860
CMD ["provenant", "serve"]
