use super::visibility::change_under;
use super::*;
use lineside_picture::testing::{checksum, synthetic};
use lineside_picture::{Layout, Picture, Rect, rgb_into};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// What was painted into copies of a picture: the kind, the copy and the mask, for each kind `count` times.
fn painted(source: &Picture, donor: &Picture, count: u64) -> Vec<(DefectKind, bool, Picture, Picture)> {
    let mut painter = DefectPainter::default();
    let mut all = Vec::new();
    for (number, kind) in DefectKind::ALL.into_iter().enumerate() {
        for seed in 0..count {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1000 * number as u64 + seed);
            let (mut out, mut mask) = (Picture::default(), Picture::default());
            let visible = painter.paint(kind, source, donor, &mut rng, &mut out, &mut mask);
            all.push((kind, visible, out, mask));
        }
    }
    all
}

/// A part in soft light with grain, as a camera sees it.
pub(super) fn part(layout: Layout, width: usize, height: usize) -> Picture {
    let mut picture = synthetic(layout, width, height);
    let channels = layout.channels();
    for y in 0..height {
        for (i, byte) in picture.row_mut(y).iter_mut().enumerate() {
            *byte = 60 + (i / channels * 80 / width) as u8 + (y * 30 / height) as u8 + *byte / 16;
        }
    }
    picture
}

#[test]
fn every_kind_is_visible_and_its_surroundings_stay() {
    for layout in [Layout::Grey, Layout::Rgb] {
        let (source, donor) = (part(layout, 200, 150), synthetic(Layout::Grey, 90, 120));
        for (kind, visible, out, mask) in painted(&source, &donor, 12) {
            assert!(visible, "{kind:?}");
            let (count, change) = change_under(&mask, Rect { x: 0, y: 0, width: 200, height: 150 }, &source, &out);
            assert!(count >= 6 && change > 0.3, "{kind:?}: {count} pixels changed by {change}");
            // Soft edges reach past the mask. Those of shade cross the frame, and a stain has patches too faint to be
            // marked.
            let around = if matches!(kind, DefectKind::Shade | DefectKind::Stain) { 200 } else { 24 };
            let marked: Vec<usize> = (0..mask.data().len()).filter(|&i| mask.data()[i] > 0).collect();
            let bounds = |axis: fn(usize) -> usize| {
                let places = || marked.iter().map(|&i| axis(i));
                (places().min().unwrap().saturating_sub(around), places().max().unwrap() + around)
            };
            let (columns, rows) = (bounds(|i| i % 200), bounds(|i| i / 200));
            let channels = source.channels();
            for (i, (a, b)) in source.data().iter().zip(out.data()).enumerate() {
                let (x, y) = (i / channels % 200, i / channels / 200);
                let near = (columns.0..=columns.1).contains(&x) && (rows.0..=rows.1).contains(&y);
                assert!(near || a == b, "{kind:?}: {x},{y} changed far from the mask");
            }
        }
    }
}

#[test]
fn defects_have_the_sizes_of_their_kind() {
    let source = part(Layout::Grey, 240, 320);
    let all = painted(&source, &source, 40);
    for (defects, (least, most)) in all.chunks(40).zip([
        (0.000_5, 0.006),
        (0.000_5, 0.005),
        (0.01, 0.08),
        (0.05, 0.4),
        (0.05, 0.4),
        (0.003, 0.03),
        (0.004, 0.05),
        (0.000_5, 0.01),
        (0.08, 0.35),
    ]) {
        let share = |mask: &Picture| mask.data().iter().filter(|v| **v > 0).count() as f64 / (240.0 * 320.0);
        let mut shares: Vec<f64> = defects.iter().map(|(_, _, _, mask)| share(mask)).collect();
        shares.sort_by(f64::total_cmp);
        assert!((least..most).contains(&shares[20]), "{:?}: half cover less than {}", defects[0].0, shares[20]);
    }
}

#[test]
fn small_and_plain_pictures_are_handled() {
    let flat = |width, height, level| {
        let mut picture = Picture::new(Layout::Grey, width, height);
        picture.data_mut().fill(level);
        picture
    };
    let textured = part(Layout::Rgb, 40, 33);
    for source in [part(Layout::Grey, 32, 32), flat(1, 1, 90), flat(3, 200, 90), flat(64, 64, 255), Picture::default()]
    {
        for donor in [&Picture::default(), &textured] {
            painted(&source, donor, 6);
        }
    }
    let black = flat(64, 64, 0);
    for (kind, visible, out, mask) in painted(&black, &black, 6) {
        assert!(!visible && out == black && mask == black, "{kind:?} on black");
    }
    assert!(painted(&flat(64, 64, 90), &textured, 6).iter().any(|(_, visible, ..)| *visible));
}

#[test]
fn grey_stays_grey() {
    let (source, donor) = (part(Layout::Grey, 120, 90), synthetic(Layout::Grey, 50, 70));
    let (mut rgb, mut rgb_donor, mut expected) = Default::default();
    rgb_into(&source, &mut rgb);
    rgb_into(&donor, &mut rgb_donor);
    for (grey, coloured) in painted(&source, &donor, 8).iter().zip(painted(&rgb, &rgb_donor, 8)) {
        rgb_into(&grey.2, &mut expected);
        assert!(expected == coloured.2 && grey.3 == coloured.3, "{:?}", grey.0);
    }
}

#[test]
fn same_bytes_on_every_cpu() {
    let mut sums = [0u64; 9];
    for (source, donor) in [
        (part(Layout::Grey, 97, 131), part(Layout::Rgb, 60, 44)),
        (part(Layout::Rgb, 410, 350), part(Layout::Grey, 131, 97)),
    ] {
        for (defects, sum) in painted(&source, &donor, 6).chunks(6).zip(&mut sums) {
            for (_, _, out, mask) in defects {
                *sum = sum.rotate_left(7) ^ checksum(out) ^ checksum(mask).rotate_left(32);
            }
        }
    }
    let recorded = [
        0x29065755aa7b10d7,
        0xa132ed3550c1ee04,
        0xd3d283cbfd9cac6b,
        0x4d3d80992f37e4c8,
        0xa2736d44cecc35aa,
        0x1459e1c4ed379cd7,
        0x4fe99336d1b81111,
        0xc2ce0aeb452fb87f,
        0x7222806cce6e516e,
    ];
    assert_eq!(sums, recorded, "{sums:#x?}");
}
