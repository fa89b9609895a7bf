//! Enlarging spots while frames come in: once one of a size was enlarged, no other takes memory.

use lineside::bundle::Bundle;
use lineside::memory::{seal_this_thread, sealed_allocations};
use lineside::task::super_resolution::{Enlarger, spot};
use lineside_picture::{Layout, Picture};

#[test]
fn spots_of_one_size_take_no_memory() {
    let _alone = super::alone();
    // In a thread of its own: it stays sealed.
    std::thread::spawn(enlarge_spots).join().unwrap();
}

fn enlarge_spots() {
    let bundle = Bundle::open(&crate::common::root().join("models/superres-x3")).unwrap();
    let mut enlarger = Enlarger::new(bundle).unwrap();
    let mut frame = Picture::new(Layout::Rgb, 320, 240);
    frame.data_mut().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * i / 7) as u8);
    let mut large = Picture::default();
    // Inside the frame, where most lies around it.
    enlarger.enlarge_area(&frame, spot((160, 120), 96, &frame), &mut large).unwrap();
    seal_this_thread();
    for centre in [(0, 0), (319, 0), (0, 239), (319, 239), (100, 50), (160, 120)] {
        enlarger.enlarge_area(&frame, spot(centre, 96, &frame), &mut large).unwrap();
    }
    assert_eq!(sealed_allocations(), 0);
}
