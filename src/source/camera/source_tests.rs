//! The camera source with a scripted camera.

use super::super::controls::ControlSetting;
use super::super::device::{FrameInterval, FrameSize, Rates};
use super::super::fake::{Content, FakePort, World};
use super::*;
use lineside_picture::PixelFormat;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const REQUESTED: RequestedMode = RequestedMode { width: 8, height: 4, fps: 10.0, format: None };

fn camera(world: &World) -> CameraSource<FakePort> {
    let controls = vec![("gain".to_string(), ControlSetting::Value(5))];
    world.lock().controls = vec![(0x0098_0913, 0, 10)];
    CameraSource::new(
        world.port(),
        CameraOptions { requested: REQUESTED, controls, by_product: None, frozen_after: Duration::from_secs(3) },
        Telemetry::default(),
    )
}

/// Asks for frames for some seconds; returns how many came, and how many failed, with and without a report.
fn watch(camera: &mut CameraSource<FakePort>, world: &World, seconds: f64) -> (usize, usize, usize) {
    let until = world.lock().now + Duration::from_secs_f64(seconds);
    let mut frame = Frame::default();
    let (mut whole, mut reported, mut unreported) = (0, 0, 0);
    while world.lock().now < until {
        let before = world.lock().now;
        match camera.next(&mut frame) {
            Next::Frame => whole += 1,
            Next::Failed { .. } => reported += 1,
            Next::FailedRepeatedly => unreported += 1,
            Next::Pending => {}
            Next::Ended => panic!("a camera has no end"),
        }
        assert!(world.lock().now - before <= Duration::from_millis(200), "a call took too long");
    }
    (whole, reported, unreported)
}

fn seconds(world: &World, since: Instant) -> f64 {
    (world.lock().now - since).as_secs_f64()
}

/// Asks until the camera is in a state; returns how many seconds that took.
fn until(camera: &mut CameraSource<FakePort>, world: &World, state: SourceState) -> f64 {
    let since = world.lock().now;
    let mut frame = Frame::default();
    while camera.condition().state != state {
        camera.next(&mut frame);
        assert!(seconds(world, since) < 100.0, "never {state:?}");
    }
    seconds(world, since)
}

#[test]
fn another_product_gets_its_controls_while_the_camera_streams() {
    const GAIN: u32 = 0x0098_0913;
    let world = World::new();
    world.lock().controls = vec![(GAIN, 0, 10)];
    let options = |values: &[i32], wanted: &Arc<AtomicUsize>| {
        let set = |value: &i32| vec![("gain".to_string(), ControlSetting::Value(*value))];
        let (sets, wanted) = (values.iter().map(set).collect(), Arc::clone(wanted));
        let products =
            ProductControls::new(sets, Duration::from_millis(300), Box::new(move || Some(wanted.load(Relaxed))));
        let frozen_after = Duration::from_secs(3);
        CameraOptions { requested: REQUESTED, controls: Vec::new(), by_product: Some(Arc::new(products)), frozen_after }
    };
    let (wanted, now) = (Arc::default(), || world.lock().now);
    let set_so_far = || world.lock().controls_set.clone();
    let options_of_two = options(&[3, 7], &wanted);
    let products = options_of_two.by_product.clone().unwrap();
    let mut camera = CameraSource::new(world.port(), options_of_two, Telemetry::default());
    let (whole, ..) = watch(&mut camera, &world, 1.0);
    assert!(whole > 5 && products.fit(0, now()) && !products.fit(1, now()));
    wanted.store(1, Relaxed);
    let switched = now();
    let (whole, failed, _) = watch(&mut camera, &world, 1.0);
    assert_eq!((whole > 5, failed, camera.condition().restarts), (true, 0, 0), "it streams on");
    assert_eq!(set_so_far(), [(GAIN, 3), (GAIN, 7)]);
    assert!(!products.fit(1, switched) && products.fit(1, now()) && !products.fit(0, now()));
    // What comes back has those of the product that is wanted by then; what a part waits for, too.
    wanted.store(0, Relaxed);
    camera.reopen();
    let mut frame = Frame::default();
    while camera.next_since(&mut frame, switched) != Next::Frame {}
    wanted.store(1, Relaxed);
    while camera.next_since(&mut frame, switched) != Next::Frame {}
    assert_eq!(set_so_far()[2..], [(GAIN, 3), (GAIN, 7)]);
    drop(camera);
    // A value that the camera does not accept is known before its product is chosen.
    let mut camera = CameraSource::new(world.port(), options(&[3, 99], &wanted), Telemetry::default());
    wanted.store(0, Relaxed);
    let refused = camera.start().unwrap_err();
    assert_eq!(
        (refused.kind, refused.text.contains("must lie in 0..10, found 99")),
        (CameraErrorKind::BadControl, true)
    );
    assert_eq!(set_so_far().len(), 4, "nothing was set");
}

#[test]
fn frames_are_named_counted_and_dated() {
    let world = World::new();
    let mut camera = camera(&world);
    let mut frame = Frame::default();
    camera.start().unwrap();
    while camera.next(&mut frame) != Next::Frame {}
    assert_eq!((frame.name.as_str(), frame.picture.width(), frame.picture.height()), ("camera-000001", 8, 4));
    assert_eq!(frame.captured, world.lock().now);
    let (whole, reported, unreported) = watch(&mut camera, &world, 10.0);
    assert!((99..=101).contains(&whole) && reported + unreported == 0, "{whole}");
    assert_eq!(camera.negotiated_mode().unwrap().fps, Some(10.0));
    assert_eq!(camera.negotiated_mode().unwrap().format, Some(PixelFormat::Yuyv));
}

#[test]
fn only_the_newest_frame_is_decoded_and_the_older_ones_go_back() {
    let world = World::new();
    let mut camera = camera(&world);
    until(&mut camera, &world, SourceState::Flowing);
    let passed_over = camera.condition().passed_over;
    // A slow moment: three periods.
    world.lock().now += Duration::from_millis(310);
    let mut frame = Frame::default();
    assert_eq!(camera.next(&mut frame), Next::Frame);
    assert_eq!(camera.condition().passed_over, passed_over + 2);
    assert!(world.lock().now - frame.captured < Duration::from_millis(100));
    // All buffers are the driver's unreported: nothing is lost afterwards.
    let lost = world.lock().lost;
    watch(&mut camera, &world, 5.0);
    assert_eq!(world.lock().lost, lost);
}

#[test]
fn a_missing_camera_is_waited_for_and_used_as_soon_as_it_is_there() {
    let world = World::new();
    world.lock().present = false;
    let mut camera = camera(&world);
    assert_eq!(watch(&mut camera, &world, 60.0), (0, 0, 0));
    let gaps: Vec<f64> = world.lock().opening_times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(
        gaps.iter().zip([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]).all(|(gap, wait)| (gap - wait).abs() < 0.11),
        "{gaps:?}"
    );
    world.lock().present = true;
    assert!(until(&mut camera, &world, SourceState::Flowing) < 0.5);
    assert_eq!(camera.condition().restarts, 1);
}

#[test]
fn unplugging_is_found_at_once_and_plugging_in_as_well_ten_times() {
    let world = World::new();
    let mut camera = camera(&world);
    for round in 1..=10 {
        assert!(until(&mut camera, &world, SourceState::Flowing) < 1.0, "round {round}");
        world.lock().present = false;
        assert!(until(&mut camera, &world, SourceState::Away) <= 2.0);
        watch(&mut camera, &world, 7.0);
        assert_eq!(world.lock().open, 0, "a lost camera is closed");
        world.lock().present = true;
    }
    until(&mut camera, &world, SourceState::Flowing);
    assert_eq!(camera.condition().restarts, 10);
    // Controls are set unreported each time.
    assert_eq!(world.lock().controls_set, [(0x0098_0913, 5); 11]);
    assert_eq!(world.lock().opened, 11);
    drop(camera);
    assert_eq!(world.lock().open, 0);
}

#[test]
fn a_camera_in_use_is_tried_again_and_again() {
    let world = World::new();
    world.lock().busy = true;
    let mut camera = camera(&world);
    assert_eq!(watch(&mut camera, &world, 30.0), (0, 0, 0));
    assert_eq!(world.lock().open, 0);
    world.lock().busy = false;
    assert!(until(&mut camera, &world, SourceState::Flowing) <= 5.2);
}

#[test]
fn silence_is_found_within_two_seconds_and_ends_within_five() {
    let world = World::new();
    let mut camera = camera(&world);
    until(&mut camera, &world, SourceState::Flowing);
    for silence in [3.0, 60.0] {
        world.lock().period = None;
        assert!(until(&mut camera, &world, SourceState::Away) <= 2.0);
        watch(&mut camera, &world, silence);
        world.lock().period = Some(Duration::from_millis(100));
        assert!(until(&mut camera, &world, SourceState::Flowing) <= 5.3);
    }
}

#[test]
fn a_slow_camera_is_not_a_silent_one() {
    let world = World::new();
    world.lock().period = Some(Duration::from_secs(4));
    let slow = Rates::List(vec![FrameInterval { numerator: 4, denominator: 1 }]);
    world.lock().offers[0].2 = slow;
    let mut camera = camera(&world);
    let (whole, ..) = watch(&mut camera, &world, 41.0);
    assert_eq!((whole, world.lock().opened), (10, 1));
}

#[test]
fn short_and_damaged_frames_are_counted_reported_rarely_and_end_in_a_restart() {
    for content in [Content::Short, Content::Damaged] {
        let world = World::new();
        let mut camera = camera(&world);
        until(&mut camera, &world, SourceState::Flowing);
        world.lock().content = content;
        let (whole, reported, unreported) = watch(&mut camera, &world, 1.0);
        assert_eq!((whole, reported), (0, 1), "{content:?}");
        assert!(unreported >= 8, "{unreported}");
        assert!(until(&mut camera, &world, SourceState::Away) <= 1.0);
        let (_, reported, _) = watch(&mut camera, &world, 60.0);
        assert!(reported <= 6, "{reported}");
        world.lock().content = Content::Moving;
        assert!(until(&mut camera, &world, SourceState::Flowing) <= 7.0);
        // A single one does no harm.
        watch(&mut camera, &world, 20.0);
        let opened = world.lock().opened;
        world.lock().content = content;
        watch(&mut camera, &world, 0.1);
        world.lock().content = Content::Moving;
        watch(&mut camera, &world, 10.0);
        assert_eq!(world.lock().opened, opened);
    }
}

#[test]
fn a_picture_that_stays_the_same_is_frozen_until_it_moves() {
    let world = World::new();
    let mut camera = camera(&world);
    until(&mut camera, &world, SourceState::Flowing);
    world.lock().content = Content::Same;
    let took = until(&mut camera, &world, SourceState::Frozen);
    assert!((2.9..3.4).contains(&took), "{took}");
    // It is inspected all the same.
    assert!(watch(&mut camera, &world, 2.0).0 >= 19);
    world.lock().content = Content::Moving;
    assert!(until(&mut camera, &world, SourceState::Flowing) < 0.5);
}

#[test]
fn what_waiting_does_not_change_is_reported_at_the_start() {
    let world = World::new();
    let mut camera = camera(&world);
    camera.options.requested.width = 9;
    let error = camera.start().unwrap_err();
    assert!(error.is_permanent() && error.text.contains("no size 9x4; set width and height to 8x4"), "{error}");
    camera.options.requested.width = 8;
    camera.options.controls = vec![("gain".into(), ControlSetting::Value(50))];
    let error = camera.start().unwrap_err();
    assert!(error.is_permanent() && error.text.contains("must lie in 0..10, found 50"), "{error}");
    world.lock().present = false;
    assert!(!camera.start().unwrap_err().is_permanent());
    assert_eq!(world.lock().open, 0);
}

#[test]
fn probing_a_camera_takes_a_frame() {
    let world = World::new();
    assert_eq!(camera(&world).probe().unwrap().width, 8);
    world.lock().period = None;
    assert_eq!(camera(&world).probe().unwrap_err().kind, CameraErrorKind::Silent);
    world.lock().period = Some(Duration::from_millis(100));
    world.lock().content = Content::Short;
    let error = camera(&world).probe().unwrap_err();
    assert_eq!(error.kind, CameraErrorKind::Damaged);
    assert!(error.text.contains("YUYV frame needs 64 bytes, got 5"), "{error}");
}

#[test]
fn while_nothing_is_wanted_the_camera_stays_fresh() {
    let world = World::new();
    let mut camera = camera(&world);
    until(&mut camera, &world, SourceState::Flowing);
    let passed_over = camera.condition().passed_over;
    for _ in 0..1000 {
        world.lock().now += Duration::from_millis(20);
        camera.discard_stale();
    }
    assert_eq!(camera.condition(), SourceCondition { state: SourceState::Flowing, passed_over, restarts: 0 });
    let mut frame = Frame::default();
    while camera.next(&mut frame) != Next::Frame {}
    assert!(world.lock().now - frame.captured <= Duration::from_millis(100));
    // And its silence is noticed.
    world.lock().period = None;
    for _ in 0..100 {
        world.lock().now += Duration::from_millis(20);
        camera.discard_stale();
    }
    assert_eq!(camera.condition().state, SourceState::Away);
}

#[test]
fn smaller_frames_come_after_a_short_break_and_the_usual_ones_again() {
    let world = World::new();
    let rates = world.lock().offers[0].2.clone();
    world.lock().offers.push((PixelFormat::Yuyv, FrameSize::One([4, 2]), rates));
    let mut camera = camera(&world);
    until(&mut camera, &world, SourceState::Flowing);
    camera.check_size(4, 2).unwrap();
    assert!(camera.check_size(6, 2).unwrap_err().text.contains("no size 6x2; set width and height to 8x4, 4x2"));
    let mut frame = Frame::default();
    for (asked, size) in [(Some((4, 2)), (4, 2)), (None, (8, 4))] {
        camera.resize(asked);
        let since = world.lock().now;
        while camera.next(&mut frame) != Next::Frame {}
        assert_eq!((frame.picture.width(), frame.picture.height()), size);
        assert!(seconds(&world, since) < 0.5, "{}", seconds(&world, since));
        assert_eq!(camera.frame_size(), Some((8, 4)), "what buffers are made for");
    }
    // That was no outage; and one while frames are small ends with small ones.
    assert_eq!((camera.condition().restarts, world.lock().opened), (0, 3));
    camera.resize(Some((4, 2)));
    until(&mut camera, &world, SourceState::Flowing);
    world.lock().present = false;
    until(&mut camera, &world, SourceState::Away);
    world.lock().present = true;
    until(&mut camera, &world, SourceState::Flowing);
    assert_eq!((camera.negotiated_mode().unwrap().width, camera.condition().restarts), (4, 1));
}

#[test]
fn a_camera_that_refuses_smaller_frames_gives_its_own() {
    let world = World::new();
    let mut camera = camera(&world);
    until(&mut camera, &world, SourceState::Flowing);
    camera.resize(Some((4, 2)));
    assert!(until(&mut camera, &world, SourceState::Flowing) < 1.0);
    assert_eq!((camera.negotiated_mode().unwrap().width, camera.condition().restarts), (8, 0));
    // It is not asked unreported until somebody does.
    watch(&mut camera, &world, 10.0);
    assert_eq!(world.lock().opened, 3);
}

#[test]
fn the_first_frame_after_an_edge_is_taken_whatever_waits_before_and_behind_it() {
    let world = World::new();
    let mut camera = camera(&world);
    let mut frame = Frame::default();
    camera.start().unwrap();
    while camera.next(&mut frame) != Next::Frame {}
    // Three frames wait when the edge is noticed: one from before it, two from after it.
    let period = Duration::from_millis(100);
    let first = frame.captured + period;
    world.lock().now = first + 2 * period;
    let edge = first + period / 2;
    camera.discard_before(edge);
    assert_eq!(camera.next_since(&mut frame, edge), Next::Frame);
    assert_eq!(frame.captured, first + period);
    // Damaged ones from before the edge cost nothing, one from after it is the part's.
    world.lock().content = Content::Damaged;
    let now = world.lock().now + 2 * period;
    world.lock().now = now;
    let edge = now + period / 2;
    camera.discard_before(now);
    world.lock().content = Content::Moving;
    while frame.captured < edge {
        assert!(matches!(camera.next_since(&mut frame, edge), Next::Frame | Next::Pending));
    }
    assert_eq!(frame.captured, first + 5 * period);
    assert_eq!((camera.condition().passed_over, world.lock().lost), (0, 0));
}

#[test]
fn without_time_stamps_what_is_ready_at_the_edge_is_discarded() {
    let world = World::new();
    world.lock().stamps = false;
    let mut camera = camera(&world);
    let mut frame = Frame::default();
    camera.start().unwrap();
    while camera.next(&mut frame) != Next::Frame {}
    world.lock().now += Duration::from_millis(250);
    let edge = world.lock().now;
    camera.discard_before(edge);
    while camera.next_since(&mut frame, edge) != Next::Frame {}
    assert!(frame.captured > edge, "it came after the edge was noticed");
    assert_eq!(camera.condition().passed_over, 0);
}
