#!/usr/bin/env bash
# Codes one JPEG in many ways: codings.sh FILE FOLDER. Sampling factors, scans, restart intervals, odd sizes, with and without end.
set -euo pipefail
source=$1 folder=$2
mkdir -p "$folder"
for size in 227x149 64x48 33x17 16x16 9x9 8x8 5x3 1x1; do
    jpegtran -crop "$size+0+0" -copy none "$source" | djpeg -ppm >"$folder/$size.ppm"
    for sampling in 1x1 2x1 1x2 2x2 4x1 1x4 4x2 3x1 1x1,2x2,2x2 2x2,1x1,1x2 2x1,2x1,2x1; do
        name="$folder/$size-$sampling"
        cjpeg -quality 85 -sample "$sampling" -outfile "$name.jpg" "$folder/$size.ppm"
        while read -r scans; do
            echo "${scans//;/;$'\n'}" >"$folder/scans"
            number=$((${number:-0} + 1))
            jpegtran -copy none -scans "$folder/scans" -outfile "$name-$number.jpg" "$name.jpg"
            jpegtran -copy none -scans "$folder/scans" -restart 3B -outfile "$name-$number-restart.jpg" "$name.jpg"
            head -c -2 "$name-$number.jpg" >"$name-$number-no-end.jpg"
        done <<'SCANS'
0;1;2;
2;1;0;
1 2;0;
0: 0-0,0,1;1 2: 0-0,0,0;1: 1-63,0,2;0: 1-5,0,2;2: 1-63,0,1;0: 6-63,0,2;0: 0-0,1,0;1: 1-63,2,1;0: 1-63,2,1;2: 1-63,1,0;0: 1-63,1,0;1: 1-63,1,0;
SCANS
        number=0
        jpegtran -copy none -progressive -outfile "$name-progressive.jpg" "$name.jpg"
        # Not of every sampling.
        jpegtran -copy none -grayscale -outfile "$name-grey.jpg" "$name.jpg" 2>/dev/null || rm -f "$name-grey.jpg"
        head -c -2 "$name.jpg" | cat - <(head -c 500 /dev/zero) >"$name-no-end.jpg"
    done
done
rm "$folder/scans"
