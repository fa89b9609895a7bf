//! The configuration, `lineside.toml`.

use super::Target;
use super::text::check_line;
use lineside::config::Config;
use std::path::Path;

/// This target.
pub const TARGET: Target = Target {
    name: "config",
    run: target,
    max_len: 4096,
    max_memory: 4 << 20,
    iterations: 10_000,
    words: &[
        b"[source.folder]\n",
        b"[source.pattern]\n",
        b"[source.camera]\n",
        b"[budget]\n",
        b"[anomaly]\n",
        b"[super_resolution]\n",
        b"[output]\n",
        b"[engine]\n",
        b"[alarm]\n",
        b"[heartbeat]\n",
        b"[trigger]\n",
        b"[heat]\n",
        b"[heat.smaller]\n",
        b"[status_page]\n",
        b"[mqtt]\n",
        b"[mqtt.tls]\n",
        b"memory = \"1 GiB\"\n",
        b"fps = ",
        b"= nan",
        b"= inf",
        b"= -1",
        b"= 0",
        b"= 1e308",
        b"= 9223372036854775807",
        b"\"18446744073709551615\"",
        b"threshold = ",
        b"when = \"always\"\n",
        b"path = \"a\"\n",
        b"[]",
        b"{}",
        b"'''\n",
        b"\\u001b",
        b"degrade = [\"rate\"]\n",
        b"[[camera]]\nname = \"a\"\n",
        b"[camera.source.pattern]\n",
    ],
};

/// Parses a configuration; what depends on it without a device is computed.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let configs = match Config::parse_all(text, Path::new("lineside.toml")) {
        Ok(configs) => configs,
        Err(error) => return check_line(&error.to_string()),
    };
    assert!(configs.iter().all(|config| config.cameras() == configs.len()), "each knows how many there are");
    configs.iter().for_each(use_config);
}

fn use_config(config: &Config) {
    let fps = config.source.fps();
    assert!(fps.is_none_or(|fps| fps.is_finite() && fps > 0.0), "{fps:?} frames a second");
    let threshold = config.anomaly.wanted_threshold();
    assert!(threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold)), "a threshold of {threshold:?}");
    let _ = (config.heat.limits(), config.degrade_steps());
    if let Some(mqtt) = &config.mqtt {
        let _ = (mqtt.port(), mqtt.keep_alive(), mqtt.client_id_on("host"), mqtt.topic_on("host"));
    }
    if let Some(trigger) = &config.trigger {
        let _ = trigger.address();
    }
}
