//! From a configuration to a broker: its files are read here, so that what is wrong with them names a line.

#[cfg(feature = "mqtt")]
use super::broker_commands::handler;
use super::mode::Mode;
use crate::config::Config;
use crate::memory::Bill;
use crate::pipeline::Commands;
use crate::sink::mqtt::BrokerSettings;
use std::sync::Arc;

/// The settings of the broker, where there is one, and its place on the bill. A check tries to log in.
#[cfg(feature = "mqtt")]
pub(super) fn broker(
    config: &Config,
    mode: Mode,
    commands: &Arc<Commands>,
    bill: &mut Bill,
) -> anyhow::Result<Option<BrokerSettings>> {
    use crate::board::machine;
    use crate::sink::mqtt;

    let Some(section) = &config.mqtt else { return Ok(None) };
    let machine = machine();
    let tls = section.tls.as_ref().map(|tls| {
        let own = tls.certificate.as_ref().zip(tls.key.as_ref());
        let paths = own.map(|(certificate, key)| (certificate.get_ref().as_path(), key.get_ref().as_path()));
        mqtt::tls_config(tls.ca.get_ref(), paths).map_err(|(fault, problem)| match (fault, own) {
            (mqtt::TlsFile::Certificate, Some((certificate, _))) => config.error_at(certificate, problem),
            (mqtt::TlsFile::Key, Some((_, key))) => config.error_at(key, problem),
            _ if tls.ca.span().is_empty() => config.error_at(&section.host, format!("mqtt.tls: {problem}")),
            _ => config.error_at(&tls.ca, problem),
        })
    });
    let settings = BrokerSettings {
        host: section.host.get_ref().clone(),
        port: section.port(),
        client_id: section.client_id_on(&machine.host),
        topic: section.topic_on(&machine.host),
        username: section.username.as_ref().map(|name| name.get_ref().clone()),
        password: config.broker_password()?,
        keep_alive: section.keep_alive(),
        discovery: Some(section.discovery.get_ref().clone()).filter(|prefix| !prefix.is_empty()),
        pictures: section.pictures,
        commands: section.commands.then(|| handler(commands)),
        tls: tls.transpose()?,
        machine: match &config.camera {
            Some(camera) => format!("{} {}", machine.host, camera.name),
            None => machine.host,
        },
        board: machine.board,
    };
    bill.add("broker", mqtt::BYTES as u64);
    if mode == Mode::Check {
        // Not for ever, as with a camera that is away: 1, not 78.
        let refused = |problem| anyhow::Error::msg(config.error_at(&section.host, problem).to_string());
        mqtt::check_connection(&settings).map_err(refused)?;
    }
    Ok(Some(settings))
}

/// None: a configuration that names one was refused.
#[cfg(not(feature = "mqtt"))]
pub(super) fn broker(_: &Config, _: Mode, _: &Arc<Commands>, _: &mut Bill) -> anyhow::Result<Option<BrokerSettings>> {
    Ok(None)
}
