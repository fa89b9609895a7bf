//! Packets that a broker sends.

use super::Target;
use super::text::check_line;
use lineside::sink::mqtt::take_packet;

/// This target.
pub const TARGET: Target = Target {
    name: "packet",
    run: target,
    max_len: 4096,
    max_memory: 1 << 20,
    iterations: 50_000,
    words: &[
        b"\x20\x02\0\0",
        b"\x40\x02\0\x01",
        b"\xD0\0",
        b"\x90\x03\0\x01\0",
        b"\x30\x0D\0\x05a/b/conline",
        b"\x62\x02\0\x01",
        b"\xE0\0",
        b"\x10\x0C\0\x04MQTT\x04\x02\0\x3C\0\0",
        b"\x80\x80\x80\x01",
        b"\xFF\xFF\xFF\x7F",
        b"\0\0",
    ],
};

/// The packets of a stream, and the error that ended it.
fn packets(parts: &[&[u8]]) -> (Vec<String>, Option<String>) {
    let (mut buffer, mut packets) = (Vec::new(), Vec::new());
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match take_packet(&mut buffer) {
                Ok(Some(packet)) => packets.push(format!("{packet:?}")),
                Ok(None) => break,
                Err(error) => return (packets, Some(error.0)),
            }
        }
    }
    (packets, None)
}

/// Takes all packets out of a stream, as one part and as three.
pub fn target(data: &[u8]) {
    let whole = packets(&[data]);
    if let Some(error) = &whole.1 {
        check_line(error);
    }
    let (first, rest) = data.split_at(data.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    assert!(packets(&[first, second, third]) == whole, "the packets depend on how they come");
}
