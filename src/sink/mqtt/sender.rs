//! The sender thread: connects, publishes what is queued, and reconnects with a growing delay.

use super::discovery;
use super::session::{Incoming, Session};
use super::settings::{BrokerSettings, OFFLINE, ONLINE};
use super::shared::SharedState;
use super::spool::Spool;
use super::transport::{CLOSED, ConnectionError};
use crate::telemetry::{Cause, Telemetry};
use crate::times::BEAT;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most records in flight.
const WINDOW: usize = 16;
/// The delay after the first failed connection. It doubles with each further one, up to [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A broker that acknowledges nothing for so long is disconnected.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// A connection that ends sooner does not reset the delay: two lines with the same client id disconnect each other.
const STEADY: Duration = Duration::from_secs(10);

/// Runs until [`SharedState::stop`].
pub fn run(shared: &SharedState, settings: &BrokerSettings, telemetry: &Telemetry) {
    let mut delay = FIRST_DELAY;
    while !shared.is_stopping() {
        let begun = Instant::now();
        let will = (&*settings.availability_topic(), OFFLINE);
        let session = Session::open(settings, &settings.client_id, Some(will));
        let ended = session.and_then(|session| {
            serve(session, shared, settings, telemetry).map_err(|error| {
                match error.0 == CLOSED && begun.elapsed() < STEADY {
                    true => {
                        let id = &settings.client_id;
                        ConnectionError(format!("{CLOSED} soon: is another one called {id:?} (mqtt.client_id)?"))
                    }
                    false => error,
                }
            })
        });
        shared.with_spool(Spool::rewind);
        let Err(error) = ended else { break };
        if shared.is_stopping() {
            break;
        }
        report_disconnected(shared, settings, &error, telemetry);
        if begun.elapsed() > STEADY {
            delay = FIRST_DELAY;
        }
        shared.sleep_unless_stopping(jittered(delay));
        delay = (2 * delay).min(LONGEST_DELAY);
    }
    shared.mark_done();
}

/// Reports a fault: why there is no connection, and how many records are queued or were dropped.
fn report_disconnected(
    shared: &SharedState,
    settings: &BrokerSettings,
    error: &ConnectionError,
    telemetry: &Telemetry,
) {
    let (left, dropped) = shared.with_spool(|spool| (spool.left(), spool.dropped())).unwrap_or_default();
    let gone =
        if dropped > 0 { format!(", {dropped} were dropped, the oldest first (mqtt.spill)") } else { String::new() };
    telemetry.fail(Cause::Mqtt, &format!("broker {settings}: {error}; {left} records wait{gone}"));
}

/// Between half the delay and all of it: the lines of a fleet must not reconnect at the same moment.
fn jittered(delay: Duration) -> Duration {
    delay / 2 + (delay / 2) * (jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() / 1000 % 1000) / 1000
}

/// Publishes from the queue until the run ends.
fn serve(
    mut session: Session,
    shared: &SharedState,
    settings: &BrokerSettings,
    telemetry: &Telemetry,
) -> Result<(), ConnectionError> {
    // Messages in flight: the packet id, and the spool's ticket for what came from there.
    let mut window: VecDeque<(u16, Option<u64>)> = VecDeque::new();
    let mut acknowledged = Instant::now();
    let mut goodbye = None;
    let birth = settings.discovery.as_ref().map(|prefix| format!("{prefix}/status"));
    if let Some(birth) = &birth {
        session.subscribe(birth)?;
        window.push_back((publish_discovery(&mut session, settings)?, None));
    }
    let availability = settings.availability_topic();
    window.push_back((session.publish(&availability, ONLINE.into(), true)?, None));
    let mut connected = false;
    loop {
        let stopping = shared.is_stopping();
        if window.is_empty() {
            acknowledged = Instant::now();
        } else if acknowledged.elapsed() > UNACKNOWLEDGED {
            return Err(ConnectionError(format!("acknowledged nothing for {} s", UNACKNOWLEDGED.as_secs())));
        }
        while window.len() < WINDOW {
            let Some((ticket, line)) = shared.with_spool(Spool::next).flatten() else { break };
            match kind_of(&line) {
                Some(kind) => {
                    let id = session.publish(&settings.topic_of(&kind), line.into_bytes(), false)?;
                    window.push_back((id, Some(ticket)));
                }
                // Not a record: the disk damaged it.
                None => drop(shared.with_spool(|spool| spool.acknowledge(ticket))),
            }
        }
        if let Some(status) = shared.take_status() {
            window.push_back((session.publish(&settings.topic_of("status"), status.into_bytes(), true)?, None));
        }
        if stopping && window.is_empty() && goodbye.is_none() {
            goodbye = Some(session.publish(&availability, OFFLINE.into(), true)?);
        }
        if connected {
            report_dropped(shared, telemetry);
        }
        match session.receive(BEAT)? {
            Some(Incoming::Acknowledged(id)) if goodbye == Some(id) => return session.close(),
            Some(Incoming::Acknowledged(id)) => {
                acknowledged = Instant::now();
                if let Some(at) = window.iter().position(|(known, _)| *known == id)
                    && let Some((_, Some(ticket))) = window.remove(at)
                {
                    shared.with_spool(|spool| spool.acknowledge(ticket));
                }
                // Only an acknowledged message counts as connected: some brokers accept a login and close at once.
                if !std::mem::replace(&mut connected, true) {
                    on_connected(shared, settings, telemetry);
                }
            }
            Some(Incoming::Message(topic, message))
                if Some(&topic) == birth.as_ref() && message == ONLINE.as_bytes() =>
            {
                window.push_back((publish_discovery(&mut session, settings)?, None));
            }
            _ => {}
        }
    }
}

/// Ends the fault, and reports how many records are queued.
fn on_connected(shared: &SharedState, settings: &BrokerSettings, telemetry: &Telemetry) {
    telemetry.resolve(Cause::Mqtt);
    let left = shared.with_spool(|spool| spool.left()).unwrap_or_default();
    telemetry.log(telemetry.info("mqtt_connected").with("broker", settings.to_string()).with("waiting", left));
}

/// Reports how many records were dropped since the last report. The queue may also overflow while it is being sent: a slow
/// broker takes less than the line writes.
fn report_dropped(shared: &SharedState, telemetry: &Telemetry) {
    let dropped = shared.with_spool(|spool| spool.dropped()).unwrap_or_default();
    if dropped > 0 {
        let text =
            format!("{dropped} records could not wait for the broker and were dropped, the oldest first (mqtt.spill)");
        telemetry.report_count("mqtt", &text, dropped);
        shared.with_spool(|spool| spool.mark_dropped_reported(dropped));
    }
}

fn publish_discovery(session: &mut Session, settings: &BrokerSettings) -> Result<u16, ConnectionError> {
    let prefix = settings.discovery.as_deref().unwrap_or_default();
    session.publish(&discovery::topic(prefix, settings), discovery::message(settings).into_bytes(), true)
}

/// The kind of a record; `None` for what is not a record, or has a kind that would not make a topic.
fn kind_of(line: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct RecordKind {
        record: String,
    }
    let parsed: RecordKind = serde_json::from_str(line).ok()?;
    let plain = parsed.record.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (plain && !parsed.record.is_empty()).then_some(parsed.record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_record_names_its_topic() {
        assert_eq!(kind_of(r#"{"time":"t","record":"event","id":"1"}"#).as_deref(), Some("event"));
        for odd in
            [r#"{"record":""}"#, r#"{"record":"a/b"}"#, r##"{"record":"#"}"##, r#"{"time":"t"}"#, "{\"rec", "\0\0"]
        {
            assert_eq!(kind_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn delays_differ_and_stay_within_bounds() {
        for _ in 0..1000 {
            let delay = jittered(LONGEST_DELAY);
            assert!(delay >= LONGEST_DELAY / 2 && delay <= LONGEST_DELAY, "{delay:?}");
        }
    }
}
