# One of apps/fastapi, apps/flask, apps/django: --build-arg APP=fastapi
FROM python:3.12-slim
ARG APP
WORKDIR /app
COPY apps/${APP}/requirements.txt .
RUN pip install --no-cache-dir --no-deps -r requirements.txt
COPY apps/${APP} .
RUN useradd --system app
USER app
EXPOSE 8000
