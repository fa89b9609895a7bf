//! Pictures that are rendered in a known pose, without interpolation.

use super::*;
use crate::picture::{Layout, Rect};
use crate::registration::{PoseLimits, SearchWindow, learn_template};
use proptest::prelude::*;

/// What surrounds the part.
#[derive(Clone, Copy)]
enum Around {
    /// The part goes on.
    Part,
    /// Gravel of this seed.
    Gravel(u32),
}

/// A level of the part at a point from its centre, which nowhere looks like elsewhere.
fn level(x: f64, y: f64) -> f64 {
    let (x, y) = (x + 200.0, y + 150.0);
    128.0 + 60.0 * libm::sin(x * x / 2300.0 + y / 9.0) + 50.0 * libm::cos(y * y / 1700.0 - x / 13.0)
}

/// A frame with the part in a pose; its light is multiplied and added to.
fn frame(layout: Layout, size: (usize, usize), part: Rect, pose: &Pose, around: Around, light: (f64, f64)) -> Picture {
    let centre = (part.x as f64 + part.width as f64 / 2.0 - 0.5, part.y as f64 + part.height as f64 / 2.0 - 0.5);
    let back = Similarity::of_pose(pose, centre).inverse();
    let mut picture = Picture::new(layout, size.0, size.1);
    let mut state = match around {
        Around::Part => 0,
        Around::Gravel(seed) => seed.wrapping_mul(2_654_435_761).wrapping_add(12345),
    };
    for y in 0..size.1 {
        for (x, pixel) in picture.row_mut(y).chunks_exact_mut(layout.channels()).enumerate() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (px, py) = back.map((x as f64, y as f64));
            let (right, down) = (px - centre.0, py - centre.1);
            let is_part = right.abs() <= part.width as f64 / 2.0 && down.abs() <= part.height as f64 / 2.0;
            let grey = match around {
                Around::Gravel(_) if !is_part => f64::from(state >> 24),
                // As many waves, whatever its size.
                _ => level(right * 120.0 / part.width as f64, down * 120.0 / part.width as f64),
            };
            pixel.fill((grey * light.0 + light.1 + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
    picture
}

const SIZE: (usize, usize) = (240, 170);
const MARK: Rect = Rect { x: 60, y: 40, width: 120, height: 90 };
const LIMITS: PoseLimits = PoseLimits { shift: (25.0, 20.0), turn: 8.0, scale: 0.08 };

/// Looks for what is at `mark` of a frame in which the part has not moved.
fn registration(size: (usize, usize), mark: Rect, limits: PoseLimits) -> Registration {
    let window = SearchWindow::new(size, mark, limits).unwrap();
    let still = frame(Layout::Grey, size, mark, &Pose::STILL, Around::Part, (1.0, 0.0));
    let mut reduced = Picture::default();
    window.reduce(&still, &mut reduced, &mut Vec::new());
    Registration::new(learn_template(&window, &[reduced], None).unwrap().template)
}

/// How far, in pixels of the frame, the corner of the mark that is off most is off.
fn error(registration: &Registration, found: &Match, pose: &Pose) -> f64 {
    let window = registration.template().window();
    let mark = window.mark();
    let centre = (mark.x as f64 + mark.width as f64 / 2.0 - 0.5, mark.y as f64 + mark.height as f64 / 2.0 - 0.5);
    let (expected, map) = (Similarity::of_pose(pose, centre), found.map(window));
    let corners = [(mark.x, mark.y), (mark.right(), mark.y), (mark.x, mark.bottom()), (mark.right(), mark.bottom())];
    let off = corners.map(|(x, y)| {
        let (a, b) = (expected.map((x as f64, y as f64)), map.map((x as f64, y as f64)));
        ((a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)).sqrt()
    });
    off.into_iter().fold(0.0, f64::max)
}

fn pose(right: f64, down: f64, turn: f64, scale: f64) -> Pose {
    Pose { shift: (right, down), turn, scale }
}

#[test]
fn a_part_is_found_where_it_is_within_a_fraction_of_a_pixel() {
    let mut small = registration(SIZE, MARK, LIMITS);
    let large_mark = Rect { x: 130, y: 90, width: 400, height: 300 };
    let mut large = registration((660, 500), large_mark, PoseLimits { shift: (50.0, 40.0), ..LIMITS });
    for (at, pose) in [
        Pose::STILL,
        pose(3.25, -2.5, 0.0, 1.0),
        pose(-24.0, 19.0, 0.0, 1.0),
        pose(0.0, 0.0, -7.5, 1.0),
        pose(0.0, 0.0, 0.0, 1.075),
        pose(11.3, -9.8, 5.0, 0.94),
    ]
    .iter()
    .enumerate()
    {
        for layout in [Layout::Grey, Layout::Rgb] {
            let seen = frame(layout, SIZE, MARK, pose, Around::Gravel(at as u32), (1.0, 0.0));
            let found = small.find(&seen);
            let off = error(&small, &found, pose);
            assert!(off < 0.3 && found.within && found.correlation > 0.95, "{pose:?}: {found:?}, {off} pixels");
        }
        let seen = frame(Layout::Grey, (660, 500), large_mark, pose, Around::Gravel(at as u32), (1.0, 0.0));
        let found = large.find(&seen);
        let off = error(&large, &found, pose);
        assert!(off < 0.8 && found.within && found.correlation > 0.95, "{pose:?}: {found:?}, {off} pixels");
    }
}

#[test]
fn light_does_not_matter_and_a_dark_frame_is_found_too() {
    let mut registration = registration(SIZE, MARK, LIMITS);
    let pose = pose(7.5, -4.25, 3.0, 1.03);
    for light in [(0.6, 40.0), (0.3, 0.0), (1.2, -30.0)] {
        let found = registration.find(&frame(Layout::Grey, SIZE, MARK, &pose, Around::Gravel(1), light));
        assert!(error(&registration, &found, &pose) < 0.6 && found.within, "{light:?}: {found:?}");
    }
}

#[test]
fn what_may_not_vary_does_not() {
    let mut registration = registration(SIZE, MARK, PoseLimits { turn: 0.0, scale: 0.0, ..LIMITS });
    let found =
        registration.find(&frame(Layout::Grey, SIZE, MARK, &pose(5.0, 6.0, 1.0, 1.01), Around::Part, (1.0, 0.0)));
    assert_eq!((found.pose.turn, found.pose.scale), (0.0, 1.0));
    assert!((found.pose.shift.0 - 5.0).abs() < 1.0 && (found.pose.shift.1 - 6.0).abs() < 1.0, "{found:?}");
}

#[test]
fn a_part_that_is_not_there_is_not_found() {
    let mut registration = registration(SIZE, MARK, LIMITS);
    for grey in [0, 90, 255] {
        let mut even = Picture::new(Layout::Rgb, SIZE.0, SIZE.1);
        even.data_mut().fill(grey);
        assert_eq!(registration.find(&even).correlation, 0.0);
    }
    // Gravel alone.
    let nowhere = pose(1e6, 0.0, 0.0, 1.0);
    let found = registration.find(&frame(Layout::Grey, SIZE, MARK, &nowhere, Around::Gravel(5), (1.0, 0.0)));
    assert!(found.correlation < 0.5, "{found:?}");
    // Too far away, or turned too far.
    for far in [pose(60.0, 0.0, 0.0, 1.0), pose(0.0, 0.0, 30.0, 1.0)] {
        let found = registration.find(&frame(Layout::Grey, SIZE, MARK, &far, Around::Gravel(6), (1.0, 0.0)));
        assert!(!found.within || found.correlation < 0.7, "{far:?}: {found:?}");
    }
}

#[test]
fn a_part_that_fills_the_frame_is_found_by_what_is_left_of_it() {
    let whole = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };
    let mut registration = registration(SIZE, whole, LIMITS);
    for pose in [pose(20.0, -15.0, 0.0, 1.0), pose(-9.0, 4.0, 6.0, 0.95)] {
        let found = registration.find(&frame(Layout::Grey, SIZE, whole, &pose, Around::Part, (1.0, 0.0)));
        assert!(error(&registration, &found, &pose) < 0.6 && found.within, "{pose:?}: {found:?}");
    }
}

#[test]
fn a_mark_that_cannot_be_found_is_refused() {
    for (mark, fits) in [
        (Rect { x: 0, y: 0, width: 240, height: 170 }, true),
        (Rect { x: 230, y: 0, width: 16, height: 16 }, false),
        (Rect { x: 0, y: 0, width: 15, height: 100 }, false),
        (Rect { x: usize::MAX, y: 0, width: 20, height: 20 }, false),
    ] {
        assert_eq!(SearchWindow::new(SIZE, mark, LIMITS).is_some(), fits, "{mark:?}");
    }
    let window = SearchWindow::new(SIZE, MARK, LIMITS).unwrap();
    let even = Picture::new(Layout::Grey, window.size().0, window.size().1);
    assert!(learn_template(&window, &[even], None).is_none());
    assert!(learn_template(&window, &[], None).is_none());
    // Lines that go on to the right could be anywhere.
    let mut lines = Picture::new(Layout::Grey, window.size().0, window.size().1);
    (0..lines.height()).for_each(|y| lines.row_mut(y).fill(if y % 16 < 8 { 50 } else { 200 }));
    assert!(learn_template(&window, &[lines], None).is_none());
}

#[test]
fn a_template_is_the_mean_of_the_part_and_counts_what_is_steady() {
    // The mark is drawn too large: a part with gravel around it, which is another in each picture.
    let mark = Rect { x: 40, y: 25, width: 160, height: 120 };
    let window = SearchWindow::new(SIZE, mark, PoseLimits { scale: 0.0, ..LIMITS }).unwrap();
    let poses: Vec<Pose> = (0..12)
        .map(|i| pose(f64::from(i * 7 % 12) - 5.0, f64::from(i * 5 % 11) - 5.0, f64::from(i % 5) - 2.0, 1.0))
        .collect();
    let mut poses = [&[Pose::STILL], &poses[..]].concat();
    let reduced = |picture: &Picture| {
        let mut reduced = Picture::default();
        window.reduce(picture, &mut reduced, &mut Vec::new());
        reduced
    };
    let seen =
        |at: usize, pose: &Pose| reduced(&frame(Layout::Grey, SIZE, MARK, pose, Around::Gravel(at as u32), (1.0, 0.0)));
    let mut pictures: Vec<Picture> = poses.iter().enumerate().map(|(at, pose)| seen(at, pose)).collect();
    // And one without the part.
    pictures.push(seen(99, &pose(1e6, 0.0, 0.0, 1.0)));
    let learned = learn_template(&window, &pictures, None).unwrap();
    assert_eq!(learned.used, [vec![true; 13], vec![false]].concat());
    poses.truncate(13);
    let by_template = Registration::new(learned.template.clone());
    for (found, pose) in learned.matches.iter().zip(&poses) {
        // The mean is off by what the first picture's gravel made of it, for all pictures alike.
        assert!(error(&by_template, found, pose) < 1.5 && found.correlation > 0.7, "{pose:?}: {found:?}");
    }
    assert!(learned.absent.iter().all(|correlation| *correlation < 0.6), "{:?}", learned.absent);
    let weights = learned.template.weights();
    let mean = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>| {
        let pixels = (columns.len() * rows.len()) as u64;
        let sum: u64 = rows.map(|y| weights.row(y)[columns.clone()].iter().map(|w| u64::from(*w)).sum::<u64>()).sum();
        sum / pixels
    };
    let (part, gravel) = (mean(30..130, 25..95), mean(0..160, 0..10));
    // Nearly half of the mark is gravel here.
    assert!(part > 2 * gravel, "{part} {gravel}");
}

#[test]
fn the_same_bits_on_every_cpu() {
    let mut registration = registration(SIZE, MARK, LIMITS);
    let found =
        registration.find(&frame(Layout::Rgb, SIZE, MARK, &pose(11.3, -9.8, 5.0, 0.94), Around::Gravel(3), (0.9, 5.0)));
    let bits = [found.pose.shift.0, found.pose.shift.1, found.pose.turn, found.pose.scale, found.correlation]
        .map(f64::to_bits);
    assert_eq!(bits, BITS, "{found:?}");
}

const BITS: [u64; 5] = [
    4_622_553_591_356_325_888,
    13_845_079_004_257_714_176,
    4_617_315_792_839_507_968,
    4_606_641_871_396_012_032,
    4_607_181_907_121_114_326,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_pose_within_the_limits_is_found(
        right in -24.0..24.0, down in -19.0..19.0, turn in -7.5..7.5, scale in 0.93..1.07, seed: u32,
    ) {
        let mut registration = registration(SIZE, MARK, LIMITS);
        let pose = pose(right, down, turn, scale);
        let found = registration.find(&frame(Layout::Grey, SIZE, MARK, &pose, Around::Gravel(seed), (1.0, 0.0)));
        prop_assert!(error(&registration, &found, &pose) < 0.5 && found.within, "{:?}: {:?}", pose, found);
    }
}
