# Nomarr as a service, on the image of dockerfile.base. docs/operations.md says how it is run.
#   make image
# It holds mutagen, so whoever passes it on does it under GPL-3.0-or-later: docs/adr/0020-apache-2-beside-mutagen.md
FROM nomarr-base

USER root
COPY pyproject.toml requirements.txt README.md LICENSE /tmp/nomarr/
COPY nomarr /tmp/nomarr/nomarr
RUN pip install --constraint /tmp/nomarr/requirements.txt '/tmp/nomarr[arangodb,server]' \
    && rm -r /tmp/nomarr \
    && install --directory --owner nomarr /data

USER nomarr
# The database and its covers are kept here; music is mounted at /music, and is only ever read.
VOLUME /data
ENV NOMARR_DATABASE_URL=sqlite:////data/nomarr.db \
    NOMARR_BROWSE_ROOTS=/music \
    NOMARR_SERVE_HOST=0.0.0.0
EXPOSE 8337
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8337/healthz', timeout=4)"]
ENTRYPOINT ["nomarr"]
# From outside of the container others can connect, so this needs a token: nomarr token create.
CMD ["serve"]
