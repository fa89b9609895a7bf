//! `[mqtt]`: the broker that receives all records.

use super::{Violation, check_bytes, check_range};
use bytesize::ByteSize;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// `[mqtt]`: the broker that receives all records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct MqttConfig {
    /// Its name or address.
    pub host: Spanned<String>,
    /// Absent: 1883, and 8883 with TLS.
    pub port: Option<Spanned<u16>>,
    /// The client id; unique on the broker. Absent: `lineside-HOST`.
    pub client_id: Option<Spanned<String>>,
    /// The prefix of all topics. Absent: `lineside/HOST`.
    pub topic: Option<Spanned<String>>,
    /// The user name to log in with.
    pub username: Option<Spanned<String>>,
    /// A file that holds the password.
    pub password_file: Option<Spanned<PathBuf>>,
    /// The keep-alive interval, in seconds.
    #[serde(default = "half_a_minute")]
    pub keep_alive_s: Spanned<u16>,
    /// The prefix of Home Assistant's discovery topics; empty: no discovery.
    #[serde(default = "homeassistant")]
    pub discovery: Spanned<String>,
    /// Whether products are chosen and the alarm is acknowledged by messages on the topic `set`.
    #[serde(default)]
    pub commands: bool,
    /// Whether pictures of defects are published on the topic `picture`.
    #[serde(default)]
    pub pictures: bool,
    /// Total size of the records that wait on the disk for the broker, in bytes; the oldest are dropped first.
    #[serde(default = "four_mebibytes")]
    pub spill: Spanned<ByteSize>,
    /// TLS; absent: not encrypted.
    pub tls: Option<TlsConfig>,
    /// The camera whose records these are, where a file has several.
    #[serde(skip)]
    pub(super) camera: Option<String>,
}

/// `[mqtt.tls]`: encryption. The broker's certificate is always verified.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct TlsConfig {
    /// PEM file of the certificate authorities. Absent: those of the system.
    #[serde(default = "authorities_of_the_system")]
    pub ca: Spanned<PathBuf>,
    /// PEM file of the client certificate, where the broker requires one.
    pub certificate: Option<Spanned<PathBuf>>,
    /// PEM file of its key.
    pub key: Option<Spanned<PathBuf>>,
}

fn half_a_minute() -> Spanned<u16> {
    Spanned::new(0..0, 30)
}

fn homeassistant() -> Spanned<String> {
    Spanned::new(0..0, "homeassistant".into())
}

fn four_mebibytes() -> Spanned<ByteSize> {
    Spanned::new(0..0, ByteSize::mib(4))
}

/// The file of Debian's package `ca-certificates`.
fn authorities_of_the_system() -> Spanned<PathBuf> {
    Spanned::new(0..0, "/etc/ssl/certs/ca-certificates.crt".into())
}

/// Bytes of a topic or an id.
const LONGEST: usize = 200;

impl MqttConfig {
    /// The broker's port.
    pub fn port(&self) -> u16 {
        let usual = if self.tls.is_some() { 8883 } else { 1883 };
        self.port.as_ref().map_or(usual, |port| *port.get_ref())
    }

    /// The keep-alive interval.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(u64::from(*self.keep_alive_s.get_ref()))
    }

    /// The client id on the machine `host`; of several cameras each has its own, ending in `-CAMERA`.
    pub fn client_id_on(&self, host: &str) -> String {
        let id = self.client_id.as_ref().map_or_else(|| format!("lineside-{}", plain(host)), |id| id.get_ref().clone());
        self.camera.as_ref().map_or_else(|| id.clone(), |camera| format!("{id}-{camera}"))
    }

    /// The prefix of all topics on the machine `host`; of several cameras each has its own, ending in `/CAMERA`.
    pub fn topic_on(&self, host: &str) -> String {
        let topic = self.topic.as_ref();
        let topic = topic.map_or_else(|| format!("lineside/{}", plain(host)), |topic| topic.get_ref().clone());
        self.camera.as_ref().map_or_else(|| topic.clone(), |camera| format!("{topic}/{camera}"))
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        if !cfg!(feature = "mqtt") {
            let problem = "[mqtt]: this program was built without it; build it with the feature mqtt, or remove [mqtt]";
            return Some((self.host.span().start, problem.into()));
        }
        let discovery = Some(&self.discovery).filter(|prefix| !prefix.get_ref().is_empty());
        host_problem(&self.host)
            .or_else(|| check_range(self.port.as_ref()?, "mqtt.port", 1, u16::MAX))
            .or_else(|| word_problem(self.client_id.as_ref()?, "mqtt.client_id"))
            .or_else(|| topic_problem(self.topic.as_ref()?, "mqtt.topic"))
            .or_else(|| word_problem(self.username.as_ref()?, "mqtt.username"))
            .or_else(|| {
                let file = self.password_file.as_ref().filter(|_| self.username.is_none())?;
                Some((file.span().start, "mqtt.password_file needs mqtt.username, too".into()))
            })
            .or_else(|| check_range(&self.keep_alive_s, "mqtt.keep_alive_s", 5, 3600))
            .or_else(|| topic_problem(discovery?, "mqtt.discovery"))
            .or_else(|| check_bytes(&self.spill, "mqtt.spill", ByteSize::kib(64), ByteSize::gib(1)))
            .or_else(|| match (&self.tls.as_ref()?.certificate, &self.tls.as_ref()?.key) {
                (Some(alone), None) => {
                    Some((alone.span().start, "mqtt.tls.certificate needs mqtt.tls.key, too".into()))
                }
                (None, Some(alone)) => {
                    Some((alone.span().start, "mqtt.tls.key needs mqtt.tls.certificate, too".into()))
                }
                _ => None,
            })
    }
}

/// A host's name in the letters that a topic and an id may have.
fn plain(host: &str) -> String {
    host.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn host_problem(host: &Spanned<String>) -> Option<Violation> {
    let name = host.get_ref();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let problem = "must be a name or an address, as in \"broker.example\" or \"192.168.1.10\"; the port is mqtt.port";
    let bad = !is_name && name.parse::<IpAddr>().is_err();
    // An address may have a password.
    let found = if name.contains('@') { String::new() } else { format!(", found {name:?}") };
    bad.then(|| (host.span().start, format!("mqtt.host {problem}{found}")))
}

fn word_problem(word: &Spanned<String>, key: &str) -> Option<Violation> {
    let text = word.get_ref();
    let bad = text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control);
    bad.then(|| (word.span().start, format!("{key} must be 1 to {LONGEST} bytes of text, found {text:?}")))
}

fn topic_problem(topic: &Spanned<String>, key: &str) -> Option<Violation> {
    let text = topic.get_ref();
    let at = topic.span().start;
    if text.contains(['+', '#']) {
        return Some((at, format!("{key} must not have a wildcard (+ or #), found {text:?}")));
    }
    let bad = text.starts_with(['/', '$']) || text.ends_with('/') || text.contains("//");
    let problem = || (at, format!("{key} must be words with / between them, as in \"hall3/line7\", found {text:?}"));
    word_problem(topic, key).or_else(|| bad.then(problem))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn read(mqtt: &str) -> Result<Config, String> {
        let text = format!("[source.pattern]\n[mqtt]\n{mqtt}\n");
        Config::parse(&text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[cfg(feature = "mqtt")]
    #[test]
    fn a_host_is_enough_and_its_names_come_from_the_machine() {
        let config = read("host = \"broker\"").unwrap().mqtt.unwrap();
        assert_eq!((config.port(), config.keep_alive().as_secs()), (1883, 30));
        assert_eq!(config.client_id_on("pi 7/3"), "lineside-pi_7_3");
        assert_eq!(config.topic_on("pi+#"), "lineside/pi__");
        let config =
            read("host = \"fd00::7\"\nclient_id = \"a b\"\ntopic = \"hall 3/line\"\n[mqtt.tls]").unwrap().mqtt.unwrap();
        assert_eq!(config.port(), 8883);
        assert_eq!((config.client_id_on("x"), config.topic_on("x")), ("a b".into(), "hall 3/line".into()));
        assert!(config.tls.unwrap().ca.get_ref().ends_with("ca-certificates.crt"));
    }

    #[cfg(feature = "mqtt")]
    #[test]
    fn each_mistake_is_named_with_its_line() {
        let cases = [
            ("port = 1883", "line.toml:2: missing field `host`"),
            ("host = \"\"", "line.toml:3: mqtt.host must be a name or an address"),
            ("host = \"mqtt://broker:1883\"", "line.toml:3: mqtt.host must be a name or an address"),
            ("host = \"mqtt://u:s3cret@broker\"", "line.toml:3: mqtt.host must be a name or an address"),
            ("host = \"b\"\nport = 0", "line.toml:4: mqtt.port must lie in 1..65535, found 0"),
            ("host = \"b\"\nport = 70000", "line.toml:4: port: invalid value: integer `70000`"),
            ("host = \"b\"\npasword = \"x\"", "line.toml:4: unknown field `pasword`"),
            ("host = \"b\"\npassword = \"x\"", "line.toml:4: unknown field `password`"),
            ("host = \"b\"\nclient_id = \"\"", "line.toml:4: mqtt.client_id must be 1 to 200 bytes"),
            ("host = \"b\"\ntopic = \"line/#\"", "line.toml:4: mqtt.topic must not have a wildcard"),
            ("host = \"b\"\ntopic = \"+/line\"", "line.toml:4: mqtt.topic must not have a wildcard"),
            ("host = \"b\"\ntopic = \"/line\"", "line.toml:4: mqtt.topic must be words with / between them"),
            ("host = \"b\"\ntopic = \"$SYS/line\"", "line.toml:4: mqtt.topic must be words with / between them"),
            ("host = \"b\"\ntopic = \"a\\u0000b\"", "line.toml:4: mqtt.topic must be 1 to 200 bytes of text"),
            ("host = \"b\"\npassword_file = \"p\"", "line.toml:4: mqtt.password_file needs mqtt.username"),
            ("host = \"b\"\nkeep_alive_s = 0", "line.toml:4: mqtt.keep_alive_s must lie in 5..3600, found 0"),
            ("host = \"b\"\ndiscovery = \"ha/+\"", "line.toml:4: mqtt.discovery must not have a wildcard"),
            ("host = \"b\"\nspill = \"1 KiB\"", "line.toml:4: mqtt.spill must lie in 64.0 KiB..1.0 GiB, found 1.0 KiB"),
            ("host = \"b\"\n[mqtt.tls]\nkey = \"k\"", "line.toml:5: mqtt.tls.key needs mqtt.tls.certificate, too"),
            ("host = \"b\"\n[mqtt.tls]\ncertificate = \"c\"", "line.toml:5: mqtt.tls.certificate needs mqtt.tls.key"),
            ("host = \"b\"\n[mqtt.tls]\nverify = false", "line.toml:5: unknown field `verify`"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(read("host = \"b\"\ndiscovery = \"\"").is_ok());
    }

    #[cfg(not(feature = "mqtt"))]
    #[test]
    fn without_the_feature_it_is_refused() {
        assert!(
            read("host = \"broker\"").unwrap_err().starts_with("line.toml:3: [mqtt]: this program was built without")
        );
    }
}
