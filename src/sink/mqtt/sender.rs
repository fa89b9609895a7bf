//! The sender thread: connects, publishes what is queued, and reconnects with a growing delay.

use super::discovery;
use super::session::{Incoming, LARGEST, Session};
use super::settings::{BrokerSettings, OFFLINE, ONLINE};
use super::shared::SharedState;
use super::spool::Spool;
use super::transport::{CLOSED, ConnectionError};
use crate::telemetry::{Cause, Telemetry};
use crate::times::BEAT;
use std::collections::VecDeque;
use std::io;
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

/// As many connections of a client id that end soon, one after the other, are the work of another client with it. A broker that
/// was restarted refuses connections in between, or ends one of them.
const TAKEN_OVER: u32 = 3;
/// The longest wait for the sender of the run before: it is connected to nothing longer than its last call may take.
const PREDECESSOR: Duration = Duration::from_secs(30);
/// How often records in memory are offered to the disk again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until [`SharedState::stop`]. The sender of the run before has ended when this one connects.
pub fn run(shared: &SharedState, before: Option<&SharedState>, settings: &BrokerSettings, telemetry: &Telemetry) {
    if let Some(before) = before {
        let begun = Instant::now();
        while !before.is_done() && begun.elapsed() < PREDECESSOR && !shared.is_stopping() {
            shared.sleep_unless_stopping(BEAT);
        }
    }
    let (mut delay, mut soon, mut has_refused_large) = (FIRST_DELAY, SoonClosed::default(), false);
    while !shared.is_stopping() {
        let begun = Instant::now();
        let will = (&*settings.availability_topic(), OFFLINE);
        let session = Session::open(settings, &settings.client_id, Some(will), &|| shared.is_stopping());
        let ended = match session {
            Ok(session) => serve(session, shared, settings, &mut has_refused_large, telemetry)
                .map_err(|error| soon.describe(error, begun.elapsed(), &settings.client_id)),
            Err(error) => {
                soon = SoonClosed::default();
                Err(error)
            }
        };
        shared.with_spool(Spool::rewind);
        let Err(error) = ended else { break };
        if shared.is_stopping() {
            break;
        }
        report_disconnected(shared, settings, &error, telemetry);
        if begun.elapsed() > STEADY {
            delay = FIRST_DELAY;
        }
        write_memory(shared, telemetry);
        shared.sleep_unless_stopping(jittered(delay));
        delay = (2 * delay).min(LONGEST_DELAY);
    }
    shared.mark_done();
}

/// Connections that the broker closed soon after the login, one after the other.
#[derive(Default)]
struct SoonClosed(u32);

impl SoonClosed {
    /// The error of a connection that had been accepted, after so long; names another client where it looks like one.
    fn describe(&mut self, error: ConnectionError, after: Duration, id: &str) -> ConnectionError {
        self.0 = if error.0 == CLOSED && after < STEADY { self.0 + 1 } else { 0 };
        if self.0 < TAKEN_OVER {
            return error;
        }
        let times = self.0;
        ConnectionError(format!(
            "{CLOSED} soon, {times} times in a row: is another one called {id:?} (mqtt.client_id), or does it restart all the time?"
        ))
    }
}

/// Offers the disk what waits in memory.
fn write_memory(shared: &SharedState, telemetry: &Telemetry) {
    let written = shared.with_spool(|spool| spool.has_memory().then(|| spool.write_memory()));
    if let Some(Some(written)) = written {
        // Reported as a fault, and tried again.
        let _ = report_spool(written, telemetry);
    }
}

/// Reports whether the queue is on the disk.
pub fn report_spool(written: io::Result<()>, telemetry: &Telemetry) -> io::Result<()> {
    match &written {
        Ok(()) => telemetry.resolve(Cause::Spool),
        Err(error) => {
            telemetry
                .fail(Cause::Spool, &format!("the records for the broker, the last of them only in memory: {error}"));
        }
    }
    written
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
    has_refused_large: &mut bool,
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
    let commands = settings.commands.as_ref().map(|handler| (settings.command_topic(), handler));
    let subscribed = commands.as_ref().map(|(topic, _)| session.subscribe(topic)).transpose()?;
    let availability = settings.availability_topic();
    window.push_back((session.publish(&availability, ONLINE.into(), true)?, None));
    let mut connected = false;
    let mut offered = Instant::now();
    loop {
        let stopping = shared.is_stopping();
        if shared.is_closed() {
            // Without a farewell: the broker publishes the will, and the next run can log in.
            return Err(ConnectionError("the run has ended".into()));
        }
        if offered.elapsed() >= AGAIN {
            write_memory(shared, telemetry);
            offered = Instant::now();
        }
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
                None => drop(shared.with_spool(|spool| spool.pass_damaged(ticket))),
            }
        }
        if let Some(status) = shared.take_status() {
            window.push_back((session.publish(&settings.topic_of("status"), status.into_bytes(), true)?, None));
        }
        if window.len() < WINDOW
            && let Some(jpeg) = shared.take_picture()
        {
            window.push_back((session.publish(&settings.topic_of("picture"), jpeg, true)?, None));
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
            Some(Incoming::Unsubscribed(id)) if Some(id) == subscribed => {
                let topic = settings.command_topic();
                let text = format!(
                    "broker {settings}: does not let this line read {topic}: commands are not heard; see its access list"
                );
                telemetry.report_once("mqtt", &text);
            }
            Some(Incoming::TooLarge(topic, bytes)) if !*has_refused_large => {
                *has_refused_large = true;
                report_large(&topic, bytes, settings, telemetry);
            }
            Some(Incoming::Message(topic, message, is_retained))
                if commands.as_ref().is_some_and(|(known, _)| *known == topic) =>
            {
                if let Some((_, obey)) = &commands {
                    obey(&message, is_retained);
                }
            }
            Some(Incoming::Message(topic, message, _))
                if Some(&topic) == birth.as_ref() && message == ONLINE.as_bytes() =>
            {
                window.push_back((publish_discovery(&mut session, settings)?, None));
            }
            _ => {}
        }
    }
}

/// Reports a message that was not read. Once a run: whoever may publish there may do so all the time.
fn report_large(topic: &str, bytes: usize, settings: &BrokerSettings, telemetry: &Telemetry) {
    let text = format!(
        "broker {settings}: a message of {bytes} bytes on {topic:?} is not read, as no further one of more than {LARGEST} is: \
         look who publishes there, and delete it where it is retained"
    );
    telemetry.report_once("mqtt", &text);
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
    let damaged = shared.with_spool(Spool::take_damaged).unwrap_or_default();
    if damaged > 0 {
        let text = format!("{damaged} records for the broker were damaged on the disk and cannot be sent");
        telemetry.report_count("disk", &text, damaged);
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
    fn only_what_is_closed_soon_again_and_again_is_another_client() {
        let closed = || ConnectionError(CLOSED.into());
        let short = Duration::from_secs(1);
        let mut soon = SoonClosed::default();
        let mut names_another =
            |error: ConnectionError, after| soon.describe(error, after, "line-7").0.contains("\"line-7\"");
        // A broker that is restarted again and again, with a connection that lasts or is silent in between.
        assert!(!names_another(closed(), short) && !names_another(closed(), short));
        assert!(!names_another(closed(), 2 * STEADY));
        assert!(!names_another(closed(), short) && !names_another(closed(), short));
        assert!(!names_another(ConnectionError("did not answer".into()), short));
        assert!(!names_another(closed(), short) && !names_another(closed(), short));
        assert!(names_another(closed(), short) && names_another(closed(), short));
    }

    #[test]
    fn delays_differ_and_stay_within_bounds() {
        for _ in 0..1000 {
            let delay = jittered(LONGEST_DELAY);
            assert!(delay >= LONGEST_DELAY / 2 && delay <= LONGEST_DELAY, "{delay:?}");
        }
    }
}
