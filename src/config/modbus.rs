//! `[modbus]`: a Modbus TCP server for PLCs, which is off unless the table is there.

use super::{Config, Violation};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use toml::Spanned;

/// `[modbus]`: where PLCs read the line's state, and who may choose products and acknowledge the alarm.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct ModbusConfig {
    /// Address and port. Not 502, the protocol's own, which only root may open.
    pub listen: Spanned<SocketAddr>,
    /// Clients that are let in; beyond loopback they must be named.
    pub allow: Spanned<Vec<IpAddr>>,
    /// The unit that is answered for; absent: every one.
    pub unit: Option<Spanned<u8>>,
    /// Whether clients may choose products and acknowledge the alarm.
    pub write: bool,
}

/// The most clients that can be named.
const MOST: usize = 64;

impl Default for ModbusConfig {
    fn default() -> Self {
        ModbusConfig {
            listen: Spanned::new(0..0, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1502)),
            allow: Spanned::new(0..0, Vec::new()),
            unit: None,
            write: false,
        }
    }
}

impl Config {
    /// The first invalid value of `[modbus]`.
    pub(super) fn modbus_problem(&self) -> Option<Violation> {
        let ModbusConfig { listen, allow, unit, .. } = self.modbus.as_ref()?;
        if let Some(problem) =
            super::check_range(unit.as_ref().unwrap_or(&Spanned::new(0..0, 1)), "modbus.unit", 1, 247)
        {
            return Some(problem);
        }
        let at = listen.span().start;
        if listen.get_ref().port() == 0 {
            return Some((at, "modbus.listen needs a port, as in \"127.0.0.1:1502\"".into()));
        }
        if allow.get_ref().len() > MOST {
            return Some((allow.span().start, format!("modbus.allow has more than {MOST} addresses")));
        }
        let open = !listen.get_ref().ip().is_loopback() && allow.get_ref().is_empty();
        let problem = "modbus.listen lets other machines in, and Modbus knows no passwords: name the PLCs in modbus.allow, as in \
                       [\"10.0.0.5\"], or listen on 127.0.0.1";
        open.then(|| (at, problem.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(more: &str) -> Result<Config, String> {
        let text = format!("[source.pattern]\n[modbus]\n{more}");
        Config::parse(&text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn without_the_table_nobody_listens_and_with_it_only_this_machine_may_read() {
        assert!(Config::parse("[source.pattern]\n", Path::new("line.toml")).unwrap().modbus.is_none());
        let modbus = parse("").unwrap().modbus.unwrap();
        assert_eq!((modbus.listen.get_ref().to_string().as_str(), modbus.write), ("127.0.0.1:1502", false));
        assert!(modbus.unit.is_none() && modbus.allow.get_ref().is_empty());
        let modbus = parse("listen = \"0.0.0.0:1502\"\nallow = [\"10.0.0.5\", \"fd00::5\"]\nunit = 3\nwrite = true\n");
        assert!(modbus.is_ok_and(|config| config.modbus.unwrap().allow.get_ref().len() == 2));
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        let cases = [
            ("listen = \"0.0.0.0:1502\"\nwrite = true\n", "line.toml:3: modbus.listen lets other machines in"),
            ("listen = \"[::]:502\"\n", "line.toml:3: modbus.listen lets other machines in"),
            ("listen = \"127.0.0.1:0\"\n", "line.toml:3: modbus.listen needs a port"),
            ("listen = \"plc\"\n", "line.toml:3: listen: invalid socket address syntax"),
            ("allow = [\"10.0.0\"]\n", "line.toml:3: allow: invalid IP address syntax"),
            ("unit = 248\n", "line.toml:3: modbus.unit must lie in 1..247, found 248"),
            ("unit = 0\n", "line.toml:3: modbus.unit must lie in 1..247, found 0"),
            ("wirte = true\n", "line.toml:3: unknown field `wirte`"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
