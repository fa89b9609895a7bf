//! Describes the line to Home Assistant, which then shows it without configuration: one device, by MQTT device discovery
//! (home-assistant.io, integration MQTT, "Device discovery payload"; since Home Assistant 2024.12).

use super::settings::{BrokerSettings, OFFLINE, ONLINE};
use serde_json::{Value, json};

/// How long the defect sensor stays on after an event, in seconds: frames come faster than anybody can see.
const DEFECT_S: u32 = 10;

/// The topic of the discovery message, which is retained.
pub fn topic(prefix: &str, settings: &BrokerSettings) -> String {
    format!("{prefix}/device/{}/config", identity(settings))
}

/// The discovery message: the device and its sensors. Their values are fields of the records in docs/field-log.md.
pub fn message(settings: &BrokerSettings) -> String {
    let id = identity(settings);
    let mut components = serde_json::Map::new();
    let mut add = |name: &str, mut component: Value| {
        component["unique_id"] = format!("{id}_{name}").into();
        components.insert(name.into(), component);
    };
    add("score", sensor("Score", "score", json!({"suggested_display_precision": 3})));
    add("severity", sensor("Severity", "severity", json!({"suggested_display_precision": 2})));
    add("fps", sensor("Frame rate", "fps", json!({"unit_of_measurement": "fps"})));
    add(
        "latency",
        sensor(
            "Frame to verdict, p95",
            "verdict_p95_ms",
            json!({"unit_of_measurement": "ms", "device_class": "duration"}),
        ),
    );
    add(
        "temperature",
        sensor("Temperature", "temperature_c", json!({"unit_of_measurement": "°C", "device_class": "temperature"})),
    );
    add("memory", sensor("Memory", "rss_bytes", json!({"unit_of_measurement": "B", "device_class": "data_size"})));
    add(
        "defects",
        json!({"platform": "sensor", "name": "Defects", "state_class": "total_increasing",
            "value_template": "{{ value_json.defects }}"}),
    );
    add(
        "state",
        json!({"platform": "sensor", "name": "Camera", "device_class": "enum",
            "options": ["flowing", "frozen", "away"], "value_template": "{{ value_json.source }}"}),
    );
    add(
        "defect",
        json!({"platform": "binary_sensor", "name": "Defect", "device_class": "problem",
            "state_topic": settings.topic_of("event"), "value_template": "ON", "off_delay": DEFECT_S,
            "json_attributes_topic": settings.topic_of("event")}),
    );
    add(
        "fault",
        json!({"platform": "binary_sensor", "name": "Fault", "device_class": "problem", "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.faults is defined else 'OFF' }}"}),
    );
    let mut device = json!({
        "identifiers": [id], "name": format!("Lineside {}", settings.machine), "manufacturer": "Lineside",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(board) = &settings.board {
        device["model"] = board.as_str().into();
    }
    json!({
        "device": device,
        "origin": {"name": "lineside", "sw_version": env!("CARGO_PKG_VERSION")},
        "components": components,
        "state_topic": settings.topic_of("status"),
        "availability_topic": settings.availability_topic(),
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "qos": 1,
    })
    .to_string()
}

/// A sensor of a numeric field of the status records; unknown where the board does not report the field.
fn sensor(name: &str, field: &str, more: Value) -> Value {
    let template = format!("{{{{ value_json.{field} | default(none) }}}}");
    let mut component = json!({
        "platform": "sensor", "name": name, "state_class": "measurement", "value_template": template,
    });
    if let (Some(component), Value::Object(more)) = (component.as_object_mut(), more) {
        component.extend(more);
    }
    component
}

/// The client id, restricted to the characters that Home Assistant accepts in a discovery topic.
fn identity(settings: &BrokerSettings) -> String {
    settings.client_id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}
