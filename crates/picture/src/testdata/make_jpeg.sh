#!/bin/sh
# Makes the JPEG files that other programs code in their own ways, from 444.jpg and 420.jpg of Pillow (see README.md).
# Needs cjpeg, djpeg and jpegtran of libjpeg-turbo (2.1.5 made these).
set -eu
cd "$(dirname "$0")"
scans() {
    printf '%s\n' "$3" >/tmp/scans.$$
    jpegtran -copy none $4 -scans /tmp/scans.$$ -outfile "$2" "$1"
    rm /tmp/scans.$$
}
# Sequential, several scans.
scans 420.jpg scans_420.jpg '0; 1; 2;' ''
scans 444.jpg scans_444_restart.jpg '0; 1; 2;' '-restart 3B'
scans 420.jpg scans_420_restart.jpg '0; 1; 2;' '-restart 2B'
scans 444.jpg scans_444_chroma_first.jpg '1; 2; 0;' ''
scans 420.jpg scans_420_chroma_together.jpg '1 2; 0;' ''
scans 420.jpg scans_420_mixed.jpg '0 2; 1;' '-restart 1B'
# Progressive, in orders that are allowed and rare.
scans 420.jpg progressive_by_component.jpg '2: 0-0,0,2; 2: 1-63,0,1; 1: 0-0,0,0; 2: 0-0,2,1; 0: 0-0,0,0; 0: 40-63,0,2;
0: 1-39,0,3; 2: 0-0,1,0; 0: 40-63,2,1; 0: 1-39,3,2; 1: 1-63,0,0; 0: 1-39,2,1; 2: 1-63,1,0; 0: 1-63,1,0;' ''
scans 444.jpg progressive_restart.jpg '0 1 2: 0-0,0,1; 0: 1-5,0,2; 2: 1-63,0,1; 1: 1-63,0,1; 0: 6-63,0,2; 0: 1-63,2,1;
0 1 2: 0-0,1,0; 2: 1-63,1,0; 1: 1-63,1,0; 0: 1-63,1,0;' '-restart 5B'
# Sampling factors.
djpeg -ppm -outfile /tmp/source.$$ 444.jpg
sampled() {
    cjpeg -quality 90 -sample "$2" -outfile "sampled_$1.jpg" /tmp/source.$$
    scans "sampled_$1.jpg" "sampled_$1_scans.jpg" '2; 0; 1;' ''
}
sampled 411 4x1,1x1,1x1
sampled 440 1x2,1x1,1x1
sampled 410 4x2,1x1,1x1
sampled 311 3x1,1x1,1x1
sampled luma_less 1x1,2x2,2x2
sampled mixed 2x2,1x1,1x2
sampled all_doubled 2x1,2x1,2x1
rm /tmp/source.$$
# Pictures whose blocks of chroma are full. Busy, so that neighbours differ.
aligned() {
    awk -v w="$2" -v h="$3" 'BEGIN {
        print "P3", w, h, 255
        for (y = 0; y < h; y++) for (x = 0; x < w; x++) print (x * x + 7 * y) % 256, (5 * x * y) % 256, (250 + 3 * x - 3 * y) % 256
    }' | cjpeg -quality 90 -sample "$4" -outfile "aligned_$1.jpg"
}
aligned 420 64 48 2x2
aligned 422 48 35 2x1
