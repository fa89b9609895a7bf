//! An RTSP camera on the loopback (RFC 2326): its pictures travel as JPEG (RFC 2435) in the connection itself.

use lineside_picture::{Layout, Picture};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Frames that follow each other.
const FRAMES: usize = 16;
/// Pixels.
const SIZE: (usize, usize) = (320, 240);

/// A camera that is reached by RTSP. Dropping it closes its port and its connections.
pub struct RtspCamera {
    pub address: SocketAddr,
    connections: Arc<Mutex<Option<Vec<TcpStream>>>>,
    /// First lines of requests, and what they had as `Authorization`.
    pub requests: Arc<Mutex<Vec<String>>>,
}

/// A JPEG as RTP carries it.
struct RtpJpeg {
    tables: Vec<u8>,
    scan: Vec<u8>,
}

impl RtspCamera {
    /// On a port of its own, or on one that was in use before. With `authorization` whoever does not send that is turned away.
    pub fn start(port: u16, authorization: Option<&'static str>) -> RtspCamera {
        let listener = crate::common::eventually("the port", || TcpListener::bind(("127.0.0.1", port)).ok());
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(Mutex::new(Some(Vec::new()))), Arc::<Mutex<Vec<String>>>::default());
        let camera = RtspCamera { address, connections: Arc::clone(&connections), requests: Arc::clone(&requests) };
        let frames: Arc<Vec<RtpJpeg>> = Arc::new((0..FRAMES).map(frame).collect());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut open = connections.lock().unwrap();
                let Some(open) = open.as_mut() else { return };
                open.push(connection.try_clone().unwrap());
                let (frames, requests) = (Arc::clone(&frames), Arc::clone(&requests));
                std::thread::spawn(move || serve(&connection, authorization, &frames, &requests));
            }
        });
        camera
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        for connection in self.connections.lock().unwrap().take().into_iter().flatten() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the thread that listens, which then lets go of the port.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &TcpStream,
    authorization: Option<&str>,
    frames: &Arc<Vec<RtpJpeg>>,
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let first = head.first()?;
        let field = |name: &str| {
            let mut fields = head.iter().filter_map(|line| line.split_once(": "));
            fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_string())
        };
        let (sequence, given) = (field("CSeq")?, field("Authorization"));
        log.lock().unwrap().push(format!("{first} {}", given.as_deref().unwrap_or("-")));
        let method = first.split(' ').next()?;
        let (mut status, mut body) = ("200 OK", "");
        let fields;
        if method != "OPTIONS" && authorization.is_some() && given.as_deref() != authorization {
            (status, fields) = ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"camera\"\r\n".to_string());
        } else if method == "OPTIONS" {
            fields = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n".into();
        } else if method == "DESCRIBE" {
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                    m=video 0 RTP/AVP 26\r\na=control:video\r\n";
            fields = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", body.len());
        } else if method == "SETUP" {
            fields = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n".into();
        } else {
            fields = "Session: 1\r\n".into();
        }
        let answer = format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{fields}\r\n{body}");
        let mut writer = stream;
        writer.write_all(answer.as_bytes()).ok()?;
        if method == "PLAY" {
            let (stream, frames) = (stream.try_clone().ok()?, Arc::clone(frames));
            std::thread::spawn(move || play(stream, &frames));
        }
    }
}

fn play(mut stream: TcpStream, frames: &[RtpJpeg]) -> Option<()> {
    for (number, frame) in (0_u32..).zip(frames.iter().cycle()) {
        let mut packet = vec![0x80, 0x80 | 26];
        packet.extend((number as u16).to_be_bytes());
        packet.extend((number * 4500).to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        // At the beginning of the frame, 4:2:0, tables of its own, in units of 8 pixels.
        packet.extend([0, 0, 0, 0, 1, 255, (SIZE.0 / 8) as u8, (SIZE.1 / 8) as u8]);
        packet.extend([0, 0, 0, frame.tables.len() as u8]);
        packet.extend(&frame.tables);
        packet.extend(&frame.scan);
        let mut interleaved = vec![b'$', 0];
        interleaved.extend((packet.len() as u16).to_be_bytes());
        interleaved.extend(packet);
        stream.write_all(&interleaved).ok()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

fn frame(number: usize) -> RtpJpeg {
    let mut picture = Picture::new(Layout::Rgb, SIZE.0, SIZE.1);
    for (at, level) in picture.data_mut().iter_mut().enumerate() {
        *level = (at / 3 % SIZE.0 + at / 3 / SIZE.0 + number * 8) as u8;
    }
    let mut jpeg = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder.encode(picture.data(), SIZE.0 as u16, SIZE.1 as u16, jpeg_encoder::ColorType::Rgb).unwrap();
    let (mut at, mut tables) = (2, Vec::new());
    loop {
        let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        let segment = &jpeg[at + 4..at + 2 + length];
        match jpeg[at + 1] {
            0xDB => segment.chunks(65).for_each(|table| tables.extend(&table[1..])),
            0xDA => return RtpJpeg { tables, scan: jpeg[at + 2 + length..jpeg.len() - 2].to_vec() },
            _ => {}
        }
        at += 2 + length;
    }
}
