use super::*;

fn spec(shapes: &[&str]) -> RegionSpec {
    RegionSpec { shapes: shapes.iter().map(|shape| shape.parse().unwrap()).collect(), ignored: None }
}

fn region(shapes: &[&str]) -> RegionOfInterest {
    RegionOfInterest::new(&spec(shapes), (100, 80)).unwrap()
}

/// Ignores a rectangle of a frame of 100 x 80.
fn ignoring(shapes: &[&str], rect: Rect) -> RegionSpec {
    let mut mask = Picture::new(Layout::Grey, 100, 80);
    for y in rect.y..rect.bottom() {
        mask.row_mut(y)[rect.x..rect.right()].fill(255);
    }
    RegionSpec { ignored: Some(mask), ..spec(shapes) }
}

fn noise(layout: Layout) -> Picture {
    let mut picture = Picture::new(layout, 100, 80);
    picture.data_mut().iter_mut().enumerate().for_each(|(at, byte)| *byte = ((at * 7919) >> 3) as u8);
    picture
}

#[test]
fn a_rectangle_is_a_crop() {
    let region = region(&["10,20,40,50"]);
    assert_eq!((region.area(), region.frame_size()), (Rect { x: 10, y: 20, width: 40, height: 50 }, (100, 80)));
    assert_eq!(region.to_string(), "40x50 at 10,20 of frames of 100x80");
    for layout in [Layout::Grey, Layout::Rgb] {
        let (frame, mut out, mut expected) = (noise(layout), Picture::default(), Picture::default());
        region.apply(&frame, &mut out).unwrap();
        frame.crop_into(region.area(), &mut expected);
        assert_eq!(out, expected);
    }
}

#[test]
fn what_is_outside_is_grey_whatever_was_there() {
    let spec = ignoring(&["10,20,40,30", "40,45 90,45 90,78"], Rect { x: 20, y: 25, width: 5, height: 6 });
    let region = RegionOfInterest::new(&spec, (100, 80)).unwrap();
    let mut mask = Picture::default();
    region.fill_mask(&mut mask);
    let inside = |x: usize, y: usize| {
        let in_rect = (10..50).contains(&x) && (20..50).contains(&y);
        let in_triangle =
            (45..78).contains(&y) && x < 90 && (2 * x as i64 + 1 - 80) * 33 >= (2 * y as i64 + 1 - 90) * 50;
        (in_rect || in_triangle) && !((20..25).contains(&x) && (25..31).contains(&y))
    };
    for layout in [Layout::Grey, Layout::Rgb] {
        let (frame, mut out) = (noise(layout), Picture::default());
        region.apply(&frame, &mut out).unwrap();
        let area = region.area();
        assert_eq!(area, Rect { x: 10, y: 20, width: 80, height: 58 });
        let channels = layout.channels();
        for y in 0..80 {
            for x in 0..100 {
                assert_eq!(mask.row(y)[x] == 255, inside(x, y), "{x},{y}");
                if (area.x..area.right()).contains(&x) && (area.y..area.bottom()).contains(&y) {
                    let found = &out.row(y - area.y)[(x - area.x) * channels..][..channels];
                    let expected = if inside(x, y) {
                        &frame.row(y)[x * channels..][..channels]
                    } else {
                        &[OUTSIDE; 3][..channels]
                    };
                    assert_eq!(found, expected, "{x},{y}");
                }
            }
        }
    }
    assert!(region.to_string().starts_with("80x58 at 10,20 of frames of 100x80, "), "{region}");
}

#[test]
fn the_buffer_is_made_once() {
    let (region, mut out) = (region(&["10,10 90,12 50,70"]), Picture::default());
    region.apply(&noise(Layout::Rgb), &mut out).unwrap();
    let at = out.data().as_ptr();
    region.apply(&noise(Layout::Grey), &mut out).unwrap();
    region.apply(&noise(Layout::Rgb), &mut out).unwrap();
    assert_eq!(out.data().as_ptr(), at);
    assert!(region.bytes() >= out.data().len());
}

#[test]
fn painting_and_heat_outside_are_taken_back() {
    let region = region(&["10,10 90,12 50,70"]);
    let (mut picture, mut before, mut mask) = (Picture::default(), Picture::default(), Picture::default());
    region.apply(&noise(Layout::Rgb), &mut before).unwrap();
    picture.copy_from(&before);
    let area = region.area();
    mask.reshape(Layout::Grey, area.width, area.height);
    mask.data_mut().fill(255);
    picture.row_mut(area.height - 1).fill(3);
    region.restrict(&mut picture, &mut mask);
    let last = area.height - 1;
    let changed = (0..area.width).filter(|x| picture.row(last)[3 * x] != before.row(last)[3 * x]).count();
    assert!((1..4).contains(&changed), "only the tip of the triangle: {changed}");
    let marked = mask.data().iter().filter(|mark| **mark > 0).count();
    let mut frame = Picture::default();
    region.fill_mask(&mut frame);
    assert_eq!(marked, frame.data().iter().filter(|mark| **mark > 0).count());
    region.place_heat(&mut mask);
    assert_eq!(mask, frame);
}

#[test]
fn cells_without_an_inspected_pixel_are_outside() {
    let region = region(&["0,0,40,40", "60,40,40,40"]);
    assert_eq!(region.cells((2, 2)), [true, false, false, true]);
    assert_eq!(region.cells((5, 2)), [true, true, false, false, false, false, false, false, true, true]);
    let whole = RegionOfInterest::new(&spec(&["3,3,60,50"]), (100, 80)).unwrap();
    assert!(whole.cells((20, 20)).iter().all(|inside| *inside));
}

#[test]
fn the_outline_is_the_edge_of_what_is_inspected() {
    let drawn = |region: &RegionOfInterest| region.outline().map(|run| run.width).sum::<usize>();
    let rect = region(&["0,20,40,50"]);
    assert_eq!(drawn(&rect), 2 * (40 + 50) - 4);
    assert!(rect.outline().all(|run| run.right() <= 40 && (20..70).contains(&run.y)));
    // A hole has an edge, too: it lies around the hole.
    let hole = ignoring(&["0,20,40,50"], Rect { x: 10, y: 30, width: 5, height: 6 });
    assert_eq!(drawn(&RegionOfInterest::new(&hole, (100, 80)).unwrap()), 2 * (40 + 50) - 4 + 2 * (5 + 6));
}

#[test]
fn equal_regions_have_equal_pixels() {
    assert_eq!(region(&["10,20,40,50"]), region(&["10,20 50,20 50,70 10,70"]));
    assert_eq!(region(&["10,20,40,50"]), region(&["10,20,40,30", "10,40,40,30"]));
    assert_ne!(region(&["10,20,40,50"]), region(&["10,20,40,51"]));
    assert_ne!(region(&["10,20,40,50"]).fingerprint(), region(&["10,20 50,20 50,70"]).fingerprint());
    let other = RegionOfInterest::new(&spec(&["10,20,40,50"]), (101, 80)).unwrap();
    assert_ne!(region(&["10,20,40,50"]), other);
    assert_ne!(region(&["10,20,40,50"]).fingerprint(), other.fingerprint());
}

#[test]
fn what_does_not_fit_is_named() {
    let all = Rect { x: 0, y: 0, width: 100, height: 80 };
    let cases = [
        (spec(&["60,0,50,40"]), "60,0,50,40 reaches beyond the frame, which is 100x80"),
        (spec(&["0,0,40,40", "0,0 101,0 0,40"]), "0,0 101,0 0,40 reaches beyond the frame"),
        (spec(&["0,0,31,80"]), "what is inspected is 31x80: at least 32x32 pixels are needed"),
        (ignoring(&[], all), "nothing is left to inspect"),
        (ignoring(&["10,10,40,40"], all), "nothing is left to inspect"),
        (ignoring(&["10,10,40,40"], Rect { x: 0, y: 0, width: 100, height: 30 }), "is 40x20: at least"),
        (
            RegionSpec { ignored: Some(Picture::new(Layout::Grey, 80, 100)), ..spec(&[]) },
            "the mask of what is ignored is 80x100, the frame 100x80",
        ),
    ];
    for (spec, expected) in cases {
        let error = RegionOfInterest::new(&spec, (100, 80)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let small = Picture::new(Layout::Rgb, 80, 100);
    let error = region(&["10,20,40,50"]).apply(&small, &mut Picture::default()).unwrap_err().to_string();
    assert!(error.contains("frame 80x100, but the region was drawn in frames of 100x80"), "{error}");
}
