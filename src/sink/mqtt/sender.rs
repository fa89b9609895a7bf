//! The thread that speaks to the broker: it connects, sends what waits, and begins anew, after a while, when that fails.

use super::link::CLOSED;
use super::session::{Heard, Session};
use super::spool::Spool;
use super::{Shared, Terms, Trouble, discovery};
use crate::record::fault::{self, Cause};
use crate::times::BEAT;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Records that are on their way at once.
const WINDOW: usize = 16;
/// The first wait after a connection failed; then it is twice as long each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A broker that acknowledges nothing for so long is not one to wait for.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// A connection that lasted for less does not count as a good one: two lines with the same id push each other out.
const STEADY: Duration = Duration::from_secs(10);

/// What is published of whether a line is there.
pub const ONLINE: &str = "online";
/// The last will, and the last word of a run.
pub const OFFLINE: &str = "offline";

/// Runs until the run is over.
pub(super) fn run(shared: &Shared, terms: &Terms) {
    let mut wait = FIRST_WAIT;
    while !shared.is_stopping() {
        let begun = Instant::now();
        let session = Session::open(terms, &terms.client_id, Some((&terms.presence(), OFFLINE)));
        let ended = session.and_then(|session| {
            serve(session, shared, terms).map_err(|trouble| match trouble.0 == CLOSED && begun.elapsed() < STEADY {
                true => {
                    Trouble(format!("{CLOSED} soon: is another one called {:?} (mqtt.client_id)?", terms.client_id))
                }
                false => trouble,
            })
        });
        shared.spool(Spool::rewind);
        let Err(trouble) = ended else { break };
        if shared.is_stopping() {
            break;
        }
        tell(shared, terms, &trouble);
        if begun.elapsed() > STEADY {
            wait = FIRST_WAIT;
        }
        shared.rest(jittered(wait));
        wait = (2 * wait).min(LONGEST_WAIT);
    }
    shared.through();
}

/// Tells that the broker is away, and what that means for the records.
fn tell(shared: &Shared, terms: &Terms, trouble: &Trouble) {
    let (left, dropped) = shared.spool(|spool| (spool.left(), spool.dropped())).unwrap_or_default();
    let gone =
        if dropped > 0 { format!(", {dropped} were dropped, the oldest first (mqtt.spill)") } else { String::new() };
    fault::failed(Cause::Mqtt, &format!("{}; {left} records wait{gone}", terms.place(trouble)));
}

/// Between half of it and all of it: a fleet must not come back in one moment.
fn jittered(wait: Duration) -> Duration {
    wait / 2 + (wait / 2) * (jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() / 1000 % 1000) / 1000
}

/// Sends what there is until the run is over.
fn serve(mut session: Session, shared: &Shared, terms: &Terms) -> Result<(), Trouble> {
    // What is on its way: the id of the packet, and the spool's ticket where it came from there.
    let mut window: VecDeque<(u16, Option<u64>)> = VecDeque::new();
    let mut acked = Instant::now();
    let mut goodbye = None;
    let birth = terms.discovery.as_ref().map(|prefix| format!("{prefix}/status"));
    if let Some(birth) = &birth {
        session.subscribe(birth)?;
        window.push_back((introduce(&mut session, terms)?, None));
    }
    window.push_back((session.publish(&terms.presence(), ONLINE.into(), true)?, None));
    let mut greeted = false;
    loop {
        let stopping = shared.is_stopping();
        if window.is_empty() {
            acked = Instant::now();
        } else if acked.elapsed() > UNACKNOWLEDGED {
            return Err(Trouble(format!("acknowledged nothing for {} s", UNACKNOWLEDGED.as_secs())));
        }
        while window.len() < WINDOW {
            let Some((ticket, line)) = shared.spool(Spool::next).flatten() else { break };
            match kind_of(&line) {
                Some(kind) => {
                    let id = session.publish(&terms.topic_of(&kind), line.into_bytes(), false)?;
                    window.push_back((id, Some(ticket)));
                }
                // No record: a disk made something else of it.
                None => drop(shared.spool(|spool| spool.acked(ticket))),
            }
        }
        if let Some(status) = shared.take_status() {
            window.push_back((session.publish(&terms.topic_of("status"), status.into_bytes(), true)?, None));
        }
        if stopping && window.is_empty() && goodbye.is_none() {
            goodbye = Some(session.publish(&terms.presence(), OFFLINE.into(), true)?);
        }
        match session.hear(BEAT)? {
            Some(Heard::Acked(id)) if goodbye == Some(id) => return session.close(),
            Some(Heard::Acked(id)) => {
                acked = Instant::now();
                if let Some(at) = window.iter().position(|(known, _)| *known == id)
                    && let Some((_, Some(ticket))) = window.remove(at)
                {
                    shared.spool(|spool| spool.acked(ticket));
                }
                // The broker is there once it has taken something: one that only lets in and throws out is not.
                if !std::mem::replace(&mut greeted, true) {
                    greet(shared, terms);
                }
            }
            Some(Heard::Message(topic, message)) if Some(&topic) == birth.as_ref() && message == ONLINE.as_bytes() => {
                window.push_back((introduce(&mut session, terms)?, None));
            }
            _ => {}
        }
    }
}

/// The broker is there again.
fn greet(shared: &Shared, terms: &Terms) {
    fault::well(Cause::Mqtt);
    let (left, dropped) = shared.spool(|spool| (spool.left(), spool.dropped())).unwrap_or_default();
    log::info!(broker = terms.to_string().as_str(), waiting = left; "mqtt_connected");
    if dropped > 0 {
        let text =
            format!("{dropped} records could not wait for the broker and were dropped, the oldest first (mqtt.spill)");
        fault::happened_often("mqtt", &text, dropped);
        shared.spool(|spool| spool.told_dropped(dropped));
    }
}

fn introduce(session: &mut Session, terms: &Terms) -> Result<u16, Trouble> {
    let prefix = terms.discovery.as_deref().unwrap_or_default();
    session.publish(&discovery::topic(prefix, terms), discovery::message(terms).into_bytes(), true)
}

/// The kind of a record, by its line.
fn kind_of(line: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Told {
        record: String,
    }
    let told: Told = serde_json::from_str(line).ok()?;
    let plain = told.record.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (plain && !told.record.is_empty()).then_some(told.record)
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    fn spool<T>(&self, work: impl FnOnce(&mut Spool) -> T) -> Option<T> {
        self.lock().spool.as_mut().map(work)
    }

    fn take_status(&self) -> Option<String> {
        self.lock().status.take()
    }

    /// Waits, unless the run ends.
    fn rest(&self, wait: Duration) {
        let ended = self.changed.wait_timeout_while(self.lock(), wait, |state| !state.stopping);
        drop(ended.unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn through(&self) {
        self.lock().done = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_goes_where_its_kind_says() {
        assert_eq!(kind_of(r#"{"time":"t","record":"event","id":"1"}"#).as_deref(), Some("event"));
        for odd in
            [r#"{"record":""}"#, r#"{"record":"a/b"}"#, r##"{"record":"#"}"##, r#"{"time":"t"}"#, "{\"rec", "\0\0"]
        {
            assert_eq!(kind_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn waits_differ_and_stay_within_bounds() {
        for _ in 0..1000 {
            let wait = jittered(LONGEST_WAIT);
            assert!(wait >= LONGEST_WAIT / 2 && wait <= LONGEST_WAIT, "{wait:?}");
        }
    }
}
