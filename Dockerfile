# The libraries are installed in a stage with pip, and copied into an image without it.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE:-python:3.13-slim} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /venv
COPY requirements/base.txt requirements/fast.txt /
# Only the HTTP parser has no wheels.
RUN apt-get update -q && apt-get install -y -q --no-install-recommends gcc python3-dev
RUN python -m pip --python /venv/bin/python install --quiet \
    --require-hashes --only-binary :all: -r /base.txt \
    && python -m pip --python /venv/bin/python install --quiet --require-hashes -r /fast.txt
WORKDIR /app
COPY . .
# Compiled now, because the service cannot write; readable, whatever the umask of the clone was.
RUN rm -r requirements && /venv/bin/python -m compileall -q config service && chmod -R a+rX .

FROM ${PYTHON_IMAGE:-python:3.13-slim}
RUN useradd --uid 10001 --no-create-home --home-dir / --shell /usr/sbin/nologin coatcheck \
    && find / -xdev \( -name pip -o -name "pip3*" -o -name "pip-*.dist-info" -o -name ensurepip \) \
        -prune -exec rm -rf {} +
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# All that a container can be reached by; what may reach it is for its network to say.
ENV COATCHECK_BIND=0.0.0.0
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "-c", "gunicorn.conf.py", "service:create_app()"]
