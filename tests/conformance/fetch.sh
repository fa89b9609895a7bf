#!/usr/bin/env bash
# Fetches the public suites that tests/conformance/run.sh compares with, at the commits that docs/inputs.md was measured with:
# fetch.sh FOLDER. 100 MB; they are not a part of this repository.
set -euo pipefail
folder=${1:?usage: fetch.sh FOLDER}
mkdir -p "$folder"
while read -r name commit; do
    repository="$folder/${name#*/}"
    [ -d "$repository/.git" ] || git init -q "$repository"
    git -C "$repository" fetch -q --depth 1 "https://github.com/$name" "$commit"
    git -C "$repository" checkout -q --force FETCH_HEAD
done <<'SUITES'
image-rs/image 2c5368b8de2f76ae9d18bc0bcf2cd16c3164cefe
image-rs/image-png 4f873e4a628c0e8dbb4204fb263697298f89eb01
image-rs/image-tiff 31919c7bfcd224143524499a4d51ea33664f7fba
image-rs/image-webp f4d80bd965df2c81e65b6f43c1f70e0750bd4b0f
image-rs/jpeg-decoder eb2d7c0f6a2d0298aba7a7f8b9ca1440353e8f8c
libjpeg-turbo/libjpeg-turbo 8a99315babe7fe946bef539c125f26b9e6aad8ab
SUITES
