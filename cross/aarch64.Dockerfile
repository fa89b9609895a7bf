# What `cross build --release --target aarch64-unknown-linux-gnu` builds in: the same packages as
# cross/setup-debian.sh installs. Debian 12's C library is old enough for every 64-bit Raspberry Pi OS since 2023.
FROM debian:12
COPY packages.txt /tmp/packages.txt
RUN apt-get update \
 && xargs -a /tmp/packages.txt env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/* /tmp/packages.txt
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
