//! One MQTT 3.1.1 session, from CONNECT to DISCONNECT. Everything is published with QoS 1.
//!
//! Sessions are clean: what the last one left unacknowledged is published again, from the spool.

use super::settings::BrokerSettings;
use super::transport::{CLOSED, ConnectionError, PATIENCE, Transport};
use bytes::Bytes;
use mqtt_proto::v3::{
    Connect, ConnectReturnCode, Header, LastWill, Packet, PacketType, Publish, Subscribe, SubscribeReturnCode,
};
use mqtt_proto::{Error, Pid, QoS, QosPid, TopicFilter, TopicName};
use std::time::{Duration, Instant};

/// The largest packet that is accepted, in bytes: only acknowledgements, birth messages and commands are expected.
pub const LARGEST: usize = 1 << 16;

/// A packet of the broker that matters to the sender.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// It acknowledges the message with this packet id.
    Acknowledged(u16),
    /// A message on a subscribed topic: topic, payload, and whether it was retained.
    Message(String, Vec<u8>, bool),
    /// A topic that the client may not subscribe to, by the packet id of the request.
    Unsubscribed(u16),
    /// A message that is too large and was not read: its topic, and the length of its packet in bytes.
    TooLarge(String, usize),
}

/// An open session.
pub struct Session {
    transport: Transport,
    buffer: Vec<u8>,
    /// A message that is too large and is not reported yet, and what is still to come of such a one, in bytes: that is not kept.
    too_large: Option<(String, usize)>,
    passing: usize,
    last_id: Pid,
    keep_alive: Duration,
    sent: Instant,
    /// When a ping was sent that is not answered yet.
    pinged: Option<Instant>,
}

impl Session {
    /// Connects and logs in, unless `is_cancelled` by then. If the session ends otherwise than by [`Session::close`], the broker
    /// publishes `will`, a topic and a payload, retained.
    ///
    /// # Errors
    /// If the broker cannot be reached, refuses the login, or does not speak MQTT, or it was cancelled.
    pub fn open(
        settings: &BrokerSettings,
        client_id: &str,
        will: Option<(&str, &str)>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Session, ConnectionError> {
        let transport = Transport::open(settings)?;
        // To find a name may take half a minute: who has this client id by then must not be disconnected.
        if is_cancelled() {
            return Err(ConnectionError("the run has ended".into()));
        }
        let mut session = Session {
            transport,
            buffer: Vec::new(),
            too_large: None,
            passing: 0,
            last_id: Pid::default(),
            keep_alive: settings.keep_alive,
            sent: Instant::now(),
            pinged: None,
        };
        let mut connect = Connect::new(client_id.into(), settings.keep_alive.as_secs() as u16);
        connect.username = settings.username.as_deref().map(Into::into);
        connect.password = settings.password.as_ref().map(|password| Bytes::copy_from_slice(password.as_bytes()));
        if let Some((topic, message)) = will {
            let topic = TopicName::try_from(topic).map_err(malformed)?;
            let mut will = LastWill::new(QoS::Level1, topic, Bytes::copy_from_slice(message.as_bytes()));
            will.retain = true;
            connect.last_will = Some(will);
        }
        session.send(&connect.into())?;
        let asked = Instant::now();
        loop {
            let packet = session.packet(PATIENCE.saturating_sub(asked.elapsed()));
            let packet = packet.map_err(|error| match error.0 == CLOSED && settings.tls.is_none() {
                true => ConnectionError(format!("{CLOSED} without an answer: does it want TLS there (mqtt.tls)?")),
                false => error,
            });
            if let Some(packet) = packet? {
                return match packet {
                    Packet::Connack(answer) => accepted(answer.code).map(|()| session),
                    other => Err(ConnectionError(format!("answered with {:?}: no MQTT broker?", other.get_type()))),
                };
            }
            if asked.elapsed() >= PATIENCE {
                return Err(ConnectionError(format!(
                    "accepted the connection and did not answer within {} s",
                    PATIENCE.as_secs()
                )));
            }
        }
    }

    /// Publishes a message and returns its packet id, by which it is acknowledged.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn publish(&mut self, topic: &str, message: Vec<u8>, retain: bool) -> Result<u16, ConnectionError> {
        // Ids wrap around; far fewer than 65535 messages are in flight.
        self.last_id += 1;
        let topic = TopicName::try_from(topic).map_err(malformed)?;
        let mut publish = Publish::new(QosPid::Level1(self.last_id), topic, message.into());
        publish.retain = retain;
        self.send(&publish.into())?;
        Ok(self.last_id.value())
    }

    /// Subscribes to a topic (QoS 0); returns the packet id of the request.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn subscribe(&mut self, topic: &str) -> Result<u16, ConnectionError> {
        self.last_id += 1;
        let filter = TopicFilter::try_from(topic).map_err(malformed)?;
        self.send(&Subscribe::new(self.last_id, vec![(filter, QoS::Level0)]).into())?;
        Ok(self.last_id.value())
    }

    /// Waits up to `wait` for a packet, and keeps the session alive by pings.
    ///
    /// # Errors
    /// If the connection fails, or a ping is not answered.
    pub fn receive(&mut self, wait: Duration) -> Result<Option<Incoming>, ConnectionError> {
        if self.pinged.is_some_and(|pinged| pinged.elapsed() > PATIENCE) {
            return Err(ConnectionError(format!("did not answer within {} s", PATIENCE.as_secs())));
        }
        // Well before the broker gives up on this client, which it does after one and a half times the keep-alive.
        if self.pinged.is_none() && self.sent.elapsed() >= self.keep_alive {
            self.send(&Packet::Pingreq)?;
            self.pinged = Some(Instant::now());
        }
        let packet = self.packet(wait)?;
        Ok(match packet {
            None if self.too_large.is_some() => {
                self.too_large.take().map(|(topic, length)| Incoming::TooLarge(topic, length))
            }
            Some(Packet::Puback(id)) => Some(Incoming::Acknowledged(id.value())),
            Some(Packet::Publish(publish)) => {
                let (topic, payload) = (publish.topic_name.to_string(), publish.payload.to_vec());
                Some(Incoming::Message(topic, payload, publish.retain))
            }
            Some(Packet::Suback(answer)) if answer.topics.contains(&SubscribeReturnCode::Failure) => {
                Some(Incoming::Unsubscribed(answer.pid.value()))
            }
            _ => None,
        })
    }

    /// Disconnects, so that the broker discards the will.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn close(mut self) -> Result<(), ConnectionError> {
        self.send(&Packet::Disconnect)
    }

    fn send(&mut self, packet: &Packet) -> Result<(), ConnectionError> {
        self.transport.send(packet.encode().map_err(malformed)?.as_ref())?;
        self.sent = Instant::now();
        Ok(())
    }

    /// The next whole packet, if one comes within `wait`.
    fn packet(&mut self, wait: Duration) -> Result<Option<Packet>, ConnectionError> {
        if let Some(packet) = self.received_packet()? {
            return Ok(Some(packet));
        }
        let mut bytes = [0; 4096];
        let read = self.transport.receive(wait.max(Duration::from_millis(1)), &mut bytes)?;
        if read > 0 {
            // Any packet shows that the broker is alive.
            self.pinged = None;
        }
        let passed = self.passing.min(read);
        self.passing -= passed;
        self.buffer.extend_from_slice(&bytes[passed..read]);
        self.received_packet()
    }

    /// The first whole packet of what was received. A message that is too large is passed over once its topic is there.
    fn received_packet(&mut self) -> Result<Option<Packet>, ConnectionError> {
        while let Some((topic, length)) = large_message(&self.buffer) {
            let Some(topic) = topic else { return Ok(None) };
            self.passing = length.saturating_sub(self.buffer.len());
            self.buffer.drain(..length.min(self.buffer.len()));
            self.too_large = Some((topic, length));
        }
        take_packet(&mut self.buffer)
    }
}

/// Of a message of more than [`LARGEST`] bytes at the begin of what was received: its topic, once that is there, and the length of the packet.
/// Anybody who may publish on a topic that is subscribed may send one, and where it is retained the broker delivers it after each login: it must
/// not end the session.
fn large_message(buffer: &[u8]) -> Option<(Option<String>, usize)> {
    let header = Header::decode(buffer).ok()?;
    let length = whole_length(&header);
    if header.typ != PacketType::Publish || length <= LARGEST {
        return None;
    }
    let head = length - header.remaining_len as usize;
    let topic = || {
        let size = buffer.get(head..head + 2)?;
        let size = usize::from(u16::from_be_bytes([size[0], size[1]]));
        Some(String::from_utf8_lossy(buffer.get(head + 2..head + 2 + size)?).into_owned())
    };
    Some((topic(), length))
}

/// The length of a packet in bytes, with its header: a type byte and one length byte for every seven bits of the remaining length.
fn whole_length(header: &Header) -> usize {
    let remaining = header.remaining_len as usize;
    2 + [1 << 7, 1 << 14, 1 << 21].iter().filter(|&&from| remaining >= from).count() + remaining
}

/// Takes the first packet out of what was received; `None` while it is incomplete.
///
/// # Errors
/// Where it is no packet, or a larger one than is expected.
pub fn take_packet(buffer: &mut Vec<u8>) -> Result<Option<Packet>, ConnectionError> {
    let length = match packet_length(buffer)? {
        Some(length) if length <= buffer.len() => length,
        _ => return Ok(None),
    };
    let packet = Packet::decode(&buffer[..length]).map_err(malformed)?;
    buffer.drain(..length);
    packet.map(Some).ok_or_else(|| ConnectionError("sent an incomplete packet: no MQTT broker?".into()))
}

/// The length of the first packet in bytes, once its header is complete.
fn packet_length(buffer: &[u8]) -> Result<Option<usize>, ConnectionError> {
    match Header::decode(buffer) {
        Ok(header) => {
            let length = whole_length(&header);
            if length > LARGEST {
                return Err(ConnectionError(format!("sent a packet of {length} bytes: no MQTT broker?")));
            }
            Ok(Some(length))
        }
        Err(error) if error.is_eof() => Ok(None),
        Err(error) => Err(malformed(error)),
    }
}

/// In one line: some errors quote what was received.
fn malformed(error: Error) -> ConnectionError {
    let text: String = error.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    ConnectionError(format!("{text}: no MQTT broker?"))
}

fn accepted(code: ConnectReturnCode) -> Result<(), ConnectionError> {
    Err(ConnectionError(match code {
        ConnectReturnCode::Accepted => return Ok(()),
        ConnectReturnCode::BadUserNameOrPassword => {
            "refused: wrong user name or password (mqtt.username, mqtt.password_file)".into()
        }
        ConnectReturnCode::NotAuthorized => {
            "refused: not authorized: wrong or missing mqtt.username, mqtt.password_file or certificate".into()
        }
        ConnectReturnCode::IdentifierRejected => "refused: it does not accept mqtt.client_id".into(),
        ConnectReturnCode::ServerUnavailable => "refused: the server is unavailable".into(),
        ConnectReturnCode::UnacceptableProtocolVersion => "refused: it does not speak MQTT 3.1.1".into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_packet_is_waited_for_and_a_huge_one_is_refused() {
        let ack = [0x40, 2, 0, 7];
        for cut in 0..2 {
            assert_eq!(packet_length(&ack[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(packet_length(&ack[..2]), Ok(Some(4)));
        let mut long = vec![0x30, 0x80, 0x01];
        assert_eq!(packet_length(&long), Ok(Some(3 + 128)));
        long[2] = 0x7f;
        assert_eq!(packet_length(&long), Ok(Some(3 + 127 * 128)));
        assert!(packet_length(&[0x30, 0xff, 0xff, 0xff, 0x7f]).is_err());
        assert!(packet_length(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(packet_length(b"HTTP/1.1 400 Bad Request").is_err());
        assert!(packet_length(&[0x00, 0x00]).is_err());
    }

    #[test]
    fn a_large_message_is_known_by_its_header_and_named_by_its_topic() {
        let packet = |kind: u8, remaining: u32, rest: &[u8]| {
            let lengths = [remaining & 0x7f | 0x80, remaining >> 7 & 0x7f | 0x80, remaining >> 14 & 0x7f];
            [&[kind][..], &lengths.map(|byte| byte as u8), rest].concat()
        };
        let (limit, topic) = (LARGEST as u32 - 4, b"\0\x03a/b...");
        assert_eq!(large_message(&packet(0x31, limit + 1, topic)), Some((Some("a/b".into()), LARGEST + 1)));
        assert_eq!(large_message(&packet(0x30, limit + 1, &topic[..4])), Some((None, LARGEST + 1)));
        assert_eq!(large_message(&packet(0x30, limit + 1, b"")), Some((None, LARGEST + 1)));
        assert_eq!(large_message(&packet(0x30, limit, topic)), None, "it is read");
        assert_eq!(large_message(&packet(0x90, limit + 1, topic)), None, "no message: no broker sends that");
        assert_eq!(large_message(&packet(0x30, limit + 1, b"")[..3]), None, "its length is not known yet");
    }

    /// Found by fuzzing.
    #[test]
    fn what_a_broker_sent_stands_in_one_line() {
        for bytes in [&b"\x10\x0d\0\x05M\rQ\nT\x04\x02\0\x3c\0\0"[..], b"\x30\x06\0\x04a/\n\0"] {
            let error = take_packet(&mut bytes.to_vec()).unwrap_err();
            assert!(!error.0.contains(char::is_control), "{error:?}");
        }
    }
}
