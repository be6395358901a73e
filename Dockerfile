# docker build -t minigpt . && docker run --rm -p 7860:7860 -v minigpt-runs:/runs minigpt
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 minigpt && install --directory --owner minigpt /runs
WORKDIR /app
# Alone, so that a change of the code does not install torch again.
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY app.py ./
COPY minigpt ./minigpt
COPY assets ./assets

USER minigpt
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 MINIGPT_RUNS=/runs PYTHONUNBUFFERED=1
VOLUME /runs
EXPOSE 7860
# As a list, without a shell between: SIGTERM reaches the server.
CMD ["python", "app.py"]
