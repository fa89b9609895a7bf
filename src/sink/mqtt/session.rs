//! One connection to the broker, in MQTT 3.1.1, from its greeting to its end. What is published asks to be acknowledged (QoS 1).
//!
//! Every session is a clean one: what was not acknowledged in the last is published anew, from the spool.

use super::link::{CLOSED, Link, PATIENCE};
use super::{Terms, Trouble};
use bytes::Bytes;
use mqtt_proto::v3::{Connect, ConnectReturnCode, Header, LastWill, Packet, Publish, Subscribe};
use mqtt_proto::{Error, Pid, QoS, QosPid, TopicFilter, TopicName};
use std::time::{Duration, Instant};

/// The largest packet that is taken; what comes is acknowledgements and a birth message.
const LARGEST: usize = 1 << 16;

/// What the broker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has what was published under this id.
    Acked(u16),
    /// Somebody published on a topic that was asked for.
    Message(String, Vec<u8>),
}

/// An open session.
pub struct Session {
    link: Link,
    buffer: Vec<u8>,
    last_id: Pid,
    keep_alive: Duration,
    sent: Instant,
    /// Since when an answer to a ping is waited for.
    asked: Option<Instant>,
}

impl Session {
    /// Connects and logs in. If the session ends in another way than by [`Session::close`], the broker publishes `will`, a
    /// topic and a message, retained.
    pub fn open(terms: &Terms, client_id: &str, will: Option<(&str, &str)>) -> Result<Session, Trouble> {
        let mut session = Session {
            link: Link::open(terms)?,
            buffer: Vec::new(),
            last_id: Pid::default(),
            keep_alive: terms.keep_alive,
            sent: Instant::now(),
            asked: None,
        };
        let mut connect = Connect::new(client_id.into(), terms.keep_alive.as_secs() as u16);
        connect.username = terms.username.as_deref().map(Into::into);
        connect.password = terms.password.as_ref().map(|password| Bytes::copy_from_slice(password.as_bytes()));
        if let Some((topic, message)) = will {
            let topic = TopicName::try_from(topic).map_err(malformed)?;
            let mut will = LastWill::new(QoS::Level1, topic, Bytes::copy_from_slice(message.as_bytes()));
            will.retain = true;
            connect.last_will = Some(will);
        }
        session.send(&connect.into())?;
        let asked = Instant::now();
        loop {
            let heard = session.packet(PATIENCE.saturating_sub(asked.elapsed()));
            let heard = heard.map_err(|trouble| match trouble.0 == CLOSED && terms.tls.is_none() {
                true => Trouble(format!("{CLOSED} without an answer: does it want TLS there (mqtt.tls)?")),
                false => trouble,
            });
            if let Some(packet) = heard? {
                return match packet {
                    Packet::Connack(answer) => accepted(answer.code).map(|()| session),
                    other => Err(Trouble(format!("answered with {:?}: no MQTT broker?", other.get_type()))),
                };
            }
            if asked.elapsed() >= PATIENCE {
                return Err(Trouble(format!("took the connection and did not answer within {} s", PATIENCE.as_secs())));
            }
        }
    }

    /// Publishes; gives the id by which it is acknowledged.
    pub fn publish(&mut self, topic: &str, message: Vec<u8>, retain: bool) -> Result<u16, Trouble> {
        // Numbers go round; far fewer than there are of them are on their way.
        self.last_id += 1;
        let topic = TopicName::try_from(topic).map_err(malformed)?;
        let mut publish = Publish::new(QosPid::Level1(self.last_id), topic, message.into());
        publish.retain = retain;
        self.send(&publish.into())?;
        Ok(self.last_id.value())
    }

    /// Asks for what others publish on a topic.
    pub fn subscribe(&mut self, topic: &str) -> Result<(), Trouble> {
        self.last_id += 1;
        let filter = TopicFilter::try_from(topic).map_err(malformed)?;
        self.send(&Subscribe::new(self.last_id, vec![(filter, QoS::Level0)]).into())
    }

    /// What the broker has to say within `wait`, and whether it is still there.
    pub fn hear(&mut self, wait: Duration) -> Result<Option<Heard>, Trouble> {
        if self.asked.is_some_and(|asked| asked.elapsed() > PATIENCE) {
            return Err(Trouble(format!("did not answer within {} s", PATIENCE.as_secs())));
        }
        // Well before the broker would count this side as gone, which it does after one and a half times as long.
        if self.asked.is_none() && self.sent.elapsed() >= self.keep_alive {
            self.send(&Packet::Pingreq)?;
            self.asked = Some(Instant::now());
        }
        Ok(match self.packet(wait)? {
            Some(Packet::Puback(id)) => Some(Heard::Acked(id.value())),
            Some(Packet::Publish(publish)) => {
                Some(Heard::Message(publish.topic_name.to_string(), publish.payload.to_vec()))
            }
            _ => None,
        })
    }

    /// Says goodbye, so that the broker forgets the will.
    pub fn close(mut self) -> Result<(), Trouble> {
        self.send(&Packet::Disconnect)
    }

    fn send(&mut self, packet: &Packet) -> Result<(), Trouble> {
        self.link.send(packet.encode().map_err(malformed)?.as_ref())?;
        self.sent = Instant::now();
        Ok(())
    }

    /// The next whole packet, if one comes within `wait`.
    fn packet(&mut self, wait: Duration) -> Result<Option<Packet>, Trouble> {
        if let Some(packet) = self.take()? {
            return Ok(Some(packet));
        }
        let mut bytes = [0; 4096];
        let read = self.link.receive(wait.max(Duration::from_millis(1)), &mut bytes)?;
        if read > 0 {
            // Whatever it says, it is there.
            self.asked = None;
        }
        self.buffer.extend_from_slice(&bytes[..read]);
        self.take()
    }

    /// The first whole packet of what was read.
    fn take(&mut self) -> Result<Option<Packet>, Trouble> {
        let length = match whole(&self.buffer)? {
            Some(length) if length <= self.buffer.len() => length,
            _ => return Ok(None),
        };
        let packet = Packet::decode(&self.buffer[..length]).map_err(malformed)?;
        self.buffer.drain(..length);
        packet.map(Some).ok_or_else(|| Trouble("sent a packet that is cut: no MQTT broker?".into()))
    }
}

/// The bytes of the first packet, once its head is there.
fn whole(buffer: &[u8]) -> Result<Option<usize>, Trouble> {
    match Header::decode(buffer) {
        Ok(header) => {
            // The lengths behind the head, and those of the head: one byte, and one for every seven bits of the length.
            let behind = header.remaining_len as usize;
            let head = 2 + [1 << 7, 1 << 14, 1 << 21].iter().filter(|&&from| behind >= from).count();
            let length = head + behind;
            if length > LARGEST {
                return Err(Trouble(format!("sent a packet of {length} bytes: no MQTT broker?")));
            }
            Ok(Some(length))
        }
        Err(error) if error.is_eof() => Ok(None),
        Err(error) => Err(malformed(error)),
    }
}

fn malformed(error: Error) -> Trouble {
    Trouble(format!("{error}: no MQTT broker?"))
}

fn accepted(code: ConnectReturnCode) -> Result<(), Trouble> {
    Err(Trouble(match code {
        ConnectReturnCode::Accepted => return Ok(()),
        ConnectReturnCode::BadUserNameOrPassword => {
            "refused: wrong user name or password (mqtt.username, mqtt.password_file)".into()
        }
        ConnectReturnCode::NotAuthorized => {
            "refused: not authorized: wrong or missing mqtt.username, mqtt.password_file or certificate".into()
        }
        ConnectReturnCode::IdentifierRejected => "refused: it does not like mqtt.client_id".into(),
        ConnectReturnCode::ServerUnavailable => "refused: it is not available".into(),
        ConnectReturnCode::UnacceptableProtocolVersion => "refused: it does not speak MQTT 3.1.1".into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_whole_or_waited_for_and_a_huge_one_is_refused() {
        let ack = [0x40, 2, 0, 7];
        for cut in 0..2 {
            assert_eq!(whole(&ack[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(whole(&ack[..2]), Ok(Some(4)));
        let mut long = vec![0x30, 0x80, 0x01];
        assert_eq!(whole(&long), Ok(Some(3 + 128)));
        long[2] = 0x7f;
        assert_eq!(whole(&long), Ok(Some(3 + 127 * 128)));
        assert!(whole(&[0x30, 0xff, 0xff, 0xff, 0x7f]).is_err());
        assert!(whole(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(whole(b"HTTP/1.1 400 Bad Request").is_err());
        assert!(whole(&[0x00, 0x00]).is_err());
    }
}
