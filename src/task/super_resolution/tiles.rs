//! How a picture is cut for the network: pieces of one size, so that one plan serves them all.

/// The least that a tile keeps of a side, in pixels, however wide its halo.
const LEAST: usize = 16;

/// Pixels of `length` that each tile keeps: as many as a tile of `tile` pixels has within its halo, or fewer, so that
/// tiles are of one size and little is computed twice.
pub(super) fn kept(length: usize, halo: usize, tile: usize) -> usize {
    let most = tile.saturating_sub(2 * halo).max(LEAST);
    length.max(1).div_ceil(length.max(1).div_ceil(most))
}

/// The stretches of `length` that tiles keep: first pixel and number of pixels, in order. Only the last may be shorter.
pub(super) fn stretches(length: usize, kept: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..length).step_by(kept).map(move |start| (start, kept.min(length - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_every_pixel_once() {
        for (length, halo, tile) in
            [(1, 5, 160), (150, 5, 160), (151, 5, 160), (1000, 5, 160), (20_000, 8, 256), (33, 15, 160), (7, 64, 100)]
        {
            let kept = kept(length, halo, tile);
            assert!(kept + 2 * halo <= tile.max(2 * halo + LEAST) && kept <= length, "{length}: {kept}");
            let mut next = 0;
            for (start, count) in stretches(length, kept) {
                assert!(start == next && count > 0 && count <= kept, "{length}: {start} {count}");
                next += count;
            }
            assert_eq!(next, length);
            // No tile is nearly empty: what is computed for nothing is less than a tile's number of tiles.
            assert!(length.div_ceil(kept) * kept - length < length.div_ceil(kept));
        }
    }
}
