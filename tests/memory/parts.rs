//! The thread that serves parts allocates nothing, whatever happens to them.

use lineside::board::{EDGE_BATCH, LineEdge};
use lineside::memory::sealed_allocations;
use lineside::sink::part::{
    CountedProduct, EdgeInput, PartLine, PartOutputs, PartResult, PartVerdict, Parts, PulseTiming, RejectDistance,
    RejectRule,
};
use lineside::sink::{LastResult, SwitchLine};
use lineside::telemetry::Telemetry;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Each datagram is an edge, before which so many were lost.
struct Edges(UnixDatagram);

impl EdgeInput for Edges {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn read(&mut self, edges: &mut [LineEdge; EDGE_BATCH]) -> Result<usize, String> {
        let (mut count, mut lost) = (0, [0]);
        while count < EDGE_BATCH && self.0.recv(&mut lost).is_ok() {
            edges[count] = LineEdge { at: Instant::now(), lost: u64::from(lost[0]) };
            count += 1;
        }
        Ok(count)
    }

    fn line_name(&self) -> &str {
        "line 4"
    }
}

struct Lamp;

impl SwitchLine for Lamp {
    fn set(&mut self, _: bool) {}
}

fn edges() -> (Box<dyn EdgeInput>, UnixDatagram) {
    let (socket, other) = UnixDatagram::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    (Box::new(Edges(socket)), other)
}

#[test]
fn parts_are_served_without_an_allocation() {
    let _alone = crate::alone();
    let before = sealed_allocations();
    let ms = Duration::from_millis;
    let ((trigger, belt), (encoder, way)) = (edges(), edges());
    let lamp = || Some(Box::new(Lamp) as Box<dyn SwitchLine>);
    let products =
        ["cap", "lid"].into_iter().zip(1..).map(|(name, code)| CountedProduct { name: name.into(), code: Some(code) });
    let products = products.collect();
    let shifts = vec!["06:00".to_string(), "18:00".to_string()];
    let parts = Arc::new(Parts::new(ms(40), ms(1), products, shifts).unwrap());
    let (results, _newest) = LastResult::channel();
    let mut thread = PartLine {
        parts: Arc::clone(&parts),
        trigger,
        encoder: Some(encoder),
        outputs: PartOutputs { ok: lamp(), nok: lamp(), strobe: lamp(), reject: lamp() },
        timing: PulseTiming { setup: ms(1), pulse: ms(3), strobe: true, no_result_is_nok: true },
        reject: Some(RejectRule { distance: RejectDistance::Edges(5), pulse: ms(2) }),
        results: Some(results),
        telemetry: Telemetry::default(),
    }
    .start()
    .unwrap();
    while !parts.has_beaten(&mut 0) {
        std::thread::sleep(ms(1));
    }
    // Some are judged, some have no frame, of some the edge is lost; they come faster than pulses.
    for part in 0..600_u64 {
        belt.send(&[u8::from(part % 50 == 0) * 9]).unwrap();
        way.send(&[2]).unwrap();
        if part % 3 == 0
            && let Some(ticket) = parts.claim(Instant::now())
        {
            ticket.judge(
                PartVerdict { defect: part % 2 == 0, product: Some(1), ..PartVerdict::default() },
                Instant::now(),
            );
        }
        std::thread::sleep(ms(1));
    }
    thread.stop();
    let status = parts.status();
    assert_eq!(status.counts.parts, status.counts.results.iter().sum::<u64>());
    assert!(status.counts.of(PartResult::NoResult) > 100 && status.lines.rejects.given > 0, "{status:?}");
    assert_eq!(sealed_allocations() - before, 0);
}
