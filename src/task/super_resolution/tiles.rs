//! Tiling of a picture: tiles of one size, so that one plan serves them all.

/// The fewest pixels per side that a tile contributes, however wide its halo.
const MIN_KEPT: usize = 16;

/// The pixels of `length` that each tile contributes: a tile of `tile` pixels without its halo, or fewer, so that tiles have one size
/// and little is computed twice.
pub(super) fn kept(length: usize, halo: usize, tile: usize) -> usize {
    let most = tile.saturating_sub(2 * halo).max(MIN_KEPT);
    length.max(1).div_ceil(length.max(1).div_ceil(most))
}

/// The spans of `length` that tiles contribute: first pixel and number of pixels, in order. Only the last may be shorter.
pub(super) fn spans(length: usize, kept: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..length).step_by(kept).map(move |start| (start, kept.min(length - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_every_pixel_once() {
        for (length, halo, tile) in
            [(1, 5, 160), (150, 5, 160), (151, 5, 160), (1000, 5, 160), (20_000, 8, 256), (33, 15, 160), (7, 64, 100)]
        {
            let kept = kept(length, halo, tile);
            assert!(kept + 2 * halo <= tile.max(2 * halo + MIN_KEPT) && kept <= length, "{length}: {kept}");
            let mut next = 0;
            for (start, count) in spans(length, kept) {
                assert!(start == next && count > 0 && count <= kept, "{length}: {start} {count}");
                next += count;
            }
            assert_eq!(next, length);
            // No tile is nearly empty: fewer pixels are computed in vain than there are tiles.
            assert!(length.div_ceil(kept) * kept - length < length.div_ceil(kept));
        }
    }
}
