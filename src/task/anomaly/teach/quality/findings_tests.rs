use super::*;
use crate::task::anomaly::teach::folds::THUMBNAIL_SIDE;
use lineside_picture::Layout;

/// Pictures as from one camera, each of another part.
fn good(count: usize) -> Vec<PictureQuality> {
    (0..count)
        .map(|i| PictureQuality {
            size: (640, 480),
            mean: 100.0,
            overexposed: 0.01,
            black: 0.02,
            contrast: 30.0 + (i % 5) as f64,
            in_colour: true,
            sharpness: 0.2 + 0.01 * (i % 7) as f64,
            thumbnail: thumbnail(i + 1),
        })
        .collect()
}

fn thumbnail(of: usize) -> Picture {
    let data = (0..THUMBNAIL_SIDE * THUMBNAIL_SIDE).map(|at| 80 + (at * of * of / 5 % 97) as u8).collect();
    Picture::from_data(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE, data).unwrap()
}

fn lines(qualities: &[PictureQuality]) -> Vec<(Severity, String)> {
    let files: Vec<String> = (0..qualities.len()).map(|i| format!("{i:02}.png")).collect();
    findings(&files, qualities).iter().map(|finding| (finding.severity(), finding.to_string())).collect()
}

/// The lines after a change to some pictures of a good set of 40.
fn changed(count: usize, change: impl Fn(&mut PictureQuality)) -> Vec<(Severity, String)> {
    let mut set = good(40);
    set[..count].iter_mut().for_each(change);
    lines(&set)
}

#[test]
fn a_good_set_has_no_findings_and_few_pictures_are_counted() {
    assert_eq!(lines(&good(40)), []);
    let few = "12 distinct picture(s) among 12: 30 or more are better; add pictures of other parts of the same kind";
    assert_eq!(lines(&good(12)), [(Severity::Warn, few.into())]);
    assert_eq!(lines(&good(9))[0].0, Severity::Refuse);
    assert_eq!(lines(&[])[0].0, Severity::Refuse);
}

#[test]
fn the_same_frame_is_recognized_under_noise_and_another_light() {
    let mut stuck = good(40);
    for (i, quality) in stuck.iter_mut().enumerate() {
        quality.thumbnail = thumbnail(3);
        let noisy = quality.thumbnail.data_mut().iter_mut().enumerate();
        noisy.for_each(|(at, byte)| *byte += (i % 4) as u8 * 5 + u8::from((at * 7 + i) % 5 == 0));
    }
    let found = lines(&stuck);
    assert_eq!(found[0].0, Severity::Refuse);
    assert!(found[0].1.starts_with("1 distinct picture(s) among 40: at least 10 are needed"), "{found:?}");
    assert!(found[1].1.starts_with("40 of 40 pictures show the same frame"), "{found:?}");
    let mut mostly = good(100);
    mostly[15..].iter_mut().for_each(|quality| quality.thumbnail = thumbnail(3));
    let found = lines(&mostly);
    assert!(found[1].1.starts_with("86 of 100 pictures show the same frame"), "{found:?}");
    assert!(found.iter().all(|(severity, _)| *severity == Severity::Warn), "{found:?}");
}

#[test]
fn outliers_are_named() {
    let warned = |line: &str| vec![(Severity::Warn, line.to_string())];
    assert_eq!(
        changed(2, |q| q.overexposed = 0.4),
        warned("overexposed over more than 30 % of their area, unlike the others: 00.png, 01.png")
    );
    assert_eq!(changed(1, |q| q.sharpness = 0.08), warned("blurred, less than half as sharp as the others: 00.png"));
    assert_eq!(changed(1, |q| q.sharpness = 0.12), []);
    for dark in [|q: &mut PictureQuality| (q.black, q.contrast) = (1.0, 0.0), |q: &mut PictureQuality| q.contrast = 2.0]
    {
        assert_eq!(changed(1, dark), warned("black or without contrast, remove them: 00.png"));
    }
    assert_eq!(
        changed(12, |q| q.size = (320, 240)),
        warned(
            "28 of 40 pictures are 640x480, others are not (0 of another aspect ratio): 00.png, 01.png, 02.png, 03.png, \
             04.png, 05.png, 06.png, 07.png, 08.png, 09.png and 2 more"
        )
    );
    let square = changed(1, |q| q.size = (480, 480));
    assert_eq!(square, warned("39 of 40 pictures are 640x480, others are not (1 of another aspect ratio): 00.png"));
}

#[test]
fn a_set_of_many_sizes_gets_one_warning() {
    let mut mixed = good(40);
    mixed.iter_mut().enumerate().for_each(|(i, quality)| quality.size = (100 + i / 2, 200));
    let line = "40 pictures of 20 sizes, 36 of another aspect ratio than 100x200: all will be stretched to the same shape; crop them \
                to one size";
    assert_eq!(lines(&mixed), [(Severity::Warn, line.into())]);
}

#[test]
fn sharpness_that_varies_in_the_whole_set_is_no_blur() {
    let mut varied = good(40);
    varied.iter_mut().enumerate().for_each(|(i, quality)| quality.sharpness = 0.05 * (i % 8 + 1) as f64);
    assert_eq!(lines(&varied), []);
}

#[test]
fn what_most_pictures_share_is_reported_once() {
    let white = changed(40, |q| q.overexposed = 0.6);
    assert_eq!(white.len(), 1);
    assert!(white[0].1.starts_with("40 of 40 pictures are overexposed"), "{white:?}");
    let capped = changed(30, |q| (q.contrast, q.sharpness, q.black) = (0.5, 0.0, 1.0));
    assert_eq!(capped.iter().map(|(severity, _)| *severity).collect::<Vec<_>>(), [Severity::Refuse]);
    assert_eq!(changed(40, |q| q.black = 0.97), [], "dark field");
}
