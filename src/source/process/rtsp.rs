//! The command for a camera that is reached by RTSP: ffmpeg, or GStreamer where only that is there.

use super::command::ProcessCommand;
use super::gstreamer::gst_launch;
use std::ops::Range;

/// How the pictures of an RTSP camera travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtspTransport {
    /// In the connection itself: nothing is lost on the way.
    #[default]
    Tcp,
    /// In packets of their own: with less delay, and with gaps where the network loses some.
    Udp,
}

/// A camera that is reached by RTSP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtspOptions {
    /// Its address, with or without user and password.
    pub url: String,
    /// How pictures travel.
    pub transport: RtspTransport,
    /// User and password, where they are not in the address.
    pub credentials: Option<(String, String)>,
    /// Pixels; a stream of another size is scaled.
    pub size: (u32, u32),
}

/// An address in its parts.
struct Address<'a> {
    scheme: &'a str,
    /// User and password, percent-encoded.
    user: Option<(&'a str, &'a str)>,
    /// Host and path.
    rest: &'a str,
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Address<'a> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("rtsp", url));
        let host_end = rest.find('/').unwrap_or(rest.len());
        match rest[..host_end].rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split_once(':').unwrap_or((user, ""));
                Address { scheme, user: Some(user), rest: &rest[rest.len() - (rest.len() - host_end) - host.len()..] }
            }
            None => Address { scheme, user: None, rest },
        }
    }
}

/// Names of parameters that cameras take a password by.
const PASSWORD_KEYS: [&str; 9] = ["password", "passwd", "passwort", "pass", "pwd", "psw", "token", "secret", "auth"];

/// Where the values of passwords stand in host and path of an address, as in `/live?user=a&password=b` and
/// `/user=a_password=b_channel=1.sdp`.
fn passwords_in(rest: &str) -> Vec<Range<usize>> {
    let (lower, mut found) = (rest.to_ascii_lowercase(), Vec::new());
    for (equals, _) in rest.match_indices('=') {
        let key = lower[..equals].rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |at| at + 1);
        if !PASSWORD_KEYS.contains(&&lower[key..equals]) {
            continue;
        }
        let begin = equals + 1;
        let end = rest[begin..].find(['&', ';', '#', '/', '?']).map_or(rest.len(), |length| begin + length);
        // The next parameter, where they are parted by underscores.
        let next = rest[begin..end].find('=').and_then(|next| rest[begin..begin + next].rfind('_'));
        found.push(begin..next.map_or(end, |length| begin + length));
    }
    found.retain(|value| !value.is_empty());
    found
}

/// Whether an address has a password, beside its host or among its parameters.
pub fn has_password(url: &str) -> bool {
    let Address { user, rest, .. } = Address::parse(url);
    user.is_some_and(|(_, password)| !password.is_empty()) || !passwords_in(rest).is_empty()
}

/// Whether an `@` stands behind the host of an address, as where a password has a `/`: nobody knows then what is the password.
pub fn has_stray_at(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let path = rest.find('/').map_or("", |begin| &rest[begin..]);
    path.split(['?', '#']).next().is_some_and(|path| path.contains('@'))
}

impl RtspOptions {
    /// The address without user and password.
    pub fn public_url(&self) -> String {
        let Address { scheme, rest, .. } = Address::parse(&self.url);
        let mut public = rest.to_string();
        for value in passwords_in(rest).into_iter().rev() {
            public.replace_range(value, "***");
        }
        format!("{scheme}://{public}")
    }

    /// As the camera wants it, but for user and password before the host.
    fn url_without_user(&self) -> String {
        let Address { scheme, rest, .. } = Address::parse(&self.url);
        format!("{scheme}://{rest}")
    }

    /// User and password, percent-encoded.
    fn encoded_credentials(&self) -> Option<(String, String)> {
        let given = self.credentials.as_ref().map(|(user, password)| (encode(user), encode(password)));
        given.or_else(|| Address::parse(&self.url).user.map(|(user, password)| (user.into(), password.into())))
    }

    /// What must be in no log: the password as it is and as it stands in an address.
    fn secrets(&self) -> Vec<String> {
        let rest = Address::parse(&self.url).rest;
        let among_parameters = passwords_in(rest).into_iter().map(|value| rest[value].to_string());
        let encoded = self.encoded_credentials().map(|(_, password)| password).into_iter().chain(among_parameters);
        let mut secrets: Vec<String> = encoded.flat_map(|encoded| [decode(&encoded), encoded]).collect();
        // The longer one first: it may contain the other.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }

    /// By ffmpeg, whose frames are raw, 4:2:0. User and password go through its standard input, as a list of one address: no list of
    /// processes shows them. Such a list has options since ffmpeg 5.
    pub fn ffmpeg(&self) -> ProcessCommand {
        let (width, height) = self.size;
        let transport = if self.transport == RtspTransport::Tcp { "tcp" } else { "udp" };
        let mut arguments = words("-nostdin -hide_banner -loglevel error -fflags nobuffer -flags low_delay");
        let mut input = String::new();
        let Address { scheme, rest, .. } = Address::parse(&self.url);
        let user = self.encoded_credentials().map(|(user, password)| format!("{user}:{password}@"));
        match user.or_else(|| (!passwords_in(rest).is_empty()).then(String::new)) {
            None => {
                arguments.extend(["-rtsp_transport".into(), transport.into(), "-i".into(), self.public_url()]);
            }
            Some(user) => {
                let address = format!("{scheme}://{user}{rest}").replace('\'', "'\\''");
                input = format!("ffconcat version 1.0\nfile '{address}'\noption rtsp_transport {transport}\n");
                let protocols = "file,pipe,rtp,rtsp,rtsps,srtp,tcp,tls,udp,crypto";
                arguments.extend(words("-protocol_whitelist"));
                arguments.push(protocols.into());
                arguments.extend(words("-f concat -safe 0 -i pipe:0"));
            }
        }
        arguments.extend(words("-map 0:v:0 -an -sn -dn -vf"));
        arguments.push(format!("scale={width}:{height}"));
        // Frames as they come: none twice, none left out.
        arguments.extend(words("-pix_fmt yuv420p -vsync passthrough -f rawvideo pipe:1"));
        ProcessCommand { program: "ffmpeg".into(), arguments, input, secrets: self.secrets() }
    }

    /// By GStreamer, whose frames are raw, 4:2:2. It takes a password only as an argument, which other users of this board can see.
    pub fn gstreamer(&self) -> ProcessCommand {
        let protocols = if self.transport == RtspTransport::Tcp { "tcp" } else { "udp" };
        let mut secrets = self.secrets();
        let mut pipeline = vec!["rtspsrc".to_string(), format!("location={}", quoted(&self.url_without_user()))];
        pipeline.extend([format!("protocols={protocols}"), "latency=100".into(), "drop-on-latency=true".into()]);
        if let Some((user, password)) = self.encoded_credentials() {
            let password = quoted(&decode(&password));
            pipeline.extend([format!("user-id={}", quoted(&decode(&user))), format!("user-pw={password}")]);
            secrets.insert(0, password);
        }
        pipeline.extend(words("! application/x-rtp,media=video ! decodebin"));
        let mut command = gst_launch(pipeline, self.size);
        command.secrets = secrets;
        command
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

/// A value as a pipeline takes it, whatever is in it.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Percent-encodes what must not stand in the user's part of an address (RFC 3986).
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Takes percent-encoding back; what is none stays.
fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(url: &str, credentials: Option<(&str, &str)>) -> RtspOptions {
        let credentials = credentials.map(|(user, password)| (user.into(), password.into()));
        RtspOptions { url: url.into(), transport: RtspTransport::Tcp, credentials, size: (640, 480) }
    }

    #[test]
    fn without_a_password_the_command_has_the_address() {
        let options = camera("rtsp://10.0.0.5:554/h264?ch=1", None);
        assert_eq!(
            options.ffmpeg().to_string(),
            "ffmpeg -nostdin -hide_banner -loglevel error -fflags nobuffer -flags low_delay -rtsp_transport tcp \
             -i 'rtsp://10.0.0.5:554/h264?ch=1' -map 0:v:0 -an -sn -dn -vf scale=640:480 -pix_fmt yuv420p \
             -vsync passthrough -f rawvideo pipe:1"
        );
        assert_eq!(options.ffmpeg().input, "");
        let udp = RtspOptions { transport: RtspTransport::Udp, ..options };
        assert!(udp.ffmpeg().to_string().contains(" -rtsp_transport udp -i "));
        assert_eq!(
            udp.gstreamer().to_string(),
            "gst-launch-1.0 -q rtspsrc 'location=\"rtsp://10.0.0.5:554/h264?ch=1\"' protocols=udp latency=100 drop-on-latency=true \
             '!' application/x-rtp,media=video '!' decodebin '!' videoconvert '!' videoscale \
             '!' video/x-raw,format=YUY2,width=640,height=480 '!' fdsink fd=1"
        );
    }

    #[test]
    fn a_password_is_in_no_argument_of_ffmpeg_and_in_nothing_that_is_shown() {
        let from_file = camera("rtsp://cam/1", Some(("op", "p@ss 'w:rd/%")));
        let in_address = camera("rtsp://op:p%40ss%20%27w%3Ard%2F%25@cam/1", None);
        for options in [from_file, in_address] {
            let command = options.ffmpeg();
            assert_eq!(
                command.input,
                "ffconcat version 1.0\nfile 'rtsp://op:p%40ss%20%27w%3Ard%2F%25@cam/1'\noption rtsp_transport tcp\n"
            );
            assert!(command.arguments.join(" ").contains(" -f concat -safe 0 -i pipe:0 -map"));
            assert!(!command.arguments.iter().any(|word| word.contains("p@ss") || word.contains("p%40ss")));
            let shown = options.gstreamer();
            assert!(shown.arguments.contains(&"user-pw=\"p@ss 'w:rd/%\"".to_string()));
            assert!(shown.to_string().contains("'user-id=\"op\"' 'user-pw=***'"), "{shown}");
            assert_eq!(
                command.without_secrets("rtsp://op:p%40ss%20%27w%3Ard%2F%25@cam: 401"),
                "rtsp://op:***@cam: 401"
            );
            assert_eq!(options.public_url(), "rtsp://cam/1");
        }
    }

    #[test]
    fn an_address_is_taken_apart() {
        for (url, user, public) in [
            ("rtsps://a:b@host:322/x?y=1", Some(("a", "b")), "rtsps://host:322/x?y=1"),
            ("rtsp://host/a@b:c", None, "rtsp://host/a@b:c"),
            ("rtsp://a:b@c@host", Some(("a", "b@c")), "rtsp://host"),
            ("rtsp://a@host/", Some(("a", "")), "rtsp://host/"),
            ("rtsp://host", None, "rtsp://host"),
        ] {
            assert_eq!(Address::parse(url).user, user, "{url}");
            assert_eq!(camera(url, None).public_url(), public);
        }
        assert_eq!(decode("a%zz%4"), "a%zz%4");
    }

    #[test]
    fn a_password_among_the_parameters_is_shown_nowhere() {
        for (url, public) in [
            ("rtsp://cam/live?user=admin&password=geheim123", "rtsp://cam/live?user=admin&password=***"),
            ("rtsp://cam/live?PWD=geheim123&ch=1", "rtsp://cam/live?PWD=***&ch=1"),
            (
                "rtsp://cam/user=a_password=geheim123_channel=1_stream=0.sdp?real_stream",
                "rtsp://cam/user=a_password=***_channel=1_stream=0.sdp?real_stream",
            ),
        ] {
            let options = camera(url, None);
            assert!(has_password(url));
            assert_eq!(options.public_url(), public);
            let command = options.ffmpeg();
            assert!(command.input.contains(url) && !command.arguments.concat().contains("geheim"), "{command:?}");
            for shown in [command.to_string(), options.gstreamer().to_string(), command.without_secrets(url)] {
                assert!(!shown.contains("geheim123"), "{shown}");
            }
        }
        assert!(!has_password("rtsp://cam/live?user=admin&channel=1&path=x&compass=3"));
        assert!(has_stray_at("rtsp://admin:ge/heim@cam/1") && !has_stray_at("rtsp://a:b@cam/1?x=@"));
    }
}
