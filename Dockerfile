# docker build -t sonant .
# docker run --rm -v sonant:/var/lib/sonant sonant models pull base joe silero-vad
# docker run --rm -v sonant:/var/lib/sonant sonant serve keys add me
# docker run -d -p 8765:8765 -v sonant:/var/lib/sonant sonant
FROM debian:12-slim AS build
WORKDIR /src
COPY scripts/setup.sh scripts/setup.sh
RUN apt-get update && sh scripts/setup.sh
COPY . .
RUN meson setup /build --buildtype=release --prefix=/usr/local && ninja -C /build && DESTDIR=/out meson install -C /build --no-rebuild --strip \
 && rm -rf /out/usr/local/include
# The packages that hold the libraries which the programs were linked with
RUN find /out -type f \( -perm -100 -o -name '*.so*' \) -exec ldd {} + 2>/dev/null | awk '$3 ~ /^\// { print $3 }' | xargs realpath | sort -u \
 | xargs dpkg -S 2>/dev/null | sed 's/:.*//' | sort -u > /out/packages

FROM debian:12-slim
COPY --from=build /out/packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs -a /tmp/packages apt-get install -y --no-install-recommends espeak-ng-data ca-certificates \
 && rm -rf /var/lib/apt/lists/* /tmp/packages \
 && useradd --system --uid 10001 --home-dir /var/lib/sonant --shell /usr/sbin/nologin sonant && install -d -o sonant -g sonant -m 0700 /var/lib/sonant
COPY --from=build /out/usr/local /usr/local
RUN ldconfig
ENV SONANT_HOME=/var/lib/sonant SONANT_HOST=0.0.0.0
USER sonant
VOLUME /var/lib/sonant
EXPOSE 8765
STOPSIGNAL SIGTERM
# In plain HTTP: with tls_certificate run it with --no-healthcheck
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
 CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${SONANT_PORT:-8765} && printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["sonant"]
CMD ["serve"]
