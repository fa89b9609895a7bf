//! What Home Assistant is told of a line, so that it shows it without being configured: one device, by its MQTT discovery for
//! devices (home-assistant.io, integration MQTT, "Device discovery payload"; since Home Assistant 2024.12).

use super::Terms;
use super::sender::{OFFLINE, ONLINE};
use serde_json::{Value, json};

/// How long a defect stays on, in seconds: frames come faster than anybody looks.
const DEFECT_S: u32 = 10;

/// Where the message goes, retained.
pub fn topic(prefix: &str, terms: &Terms) -> String {
    format!("{prefix}/device/{}/config", identity(terms))
}

/// One message for the device and all that it measures. What it measures are fields of the records of docs/field-log.md.
pub fn message(terms: &Terms) -> String {
    let id = identity(terms);
    let mut components = serde_json::Map::new();
    let mut add = |name: &str, mut component: Value| {
        component["unique_id"] = format!("{id}_{name}").into();
        components.insert(name.into(), component);
    };
    add("score", measured("Score", "score", json!({"suggested_display_precision": 3})));
    add("fps", measured("Frame rate", "fps", json!({"unit_of_measurement": "fps"})));
    add(
        "latency",
        measured(
            "Frame to verdict, p95",
            "verdict_p95_ms",
            json!({"unit_of_measurement": "ms", "device_class": "duration"}),
        ),
    );
    add(
        "temperature",
        measured("Temperature", "temperature_c", json!({"unit_of_measurement": "°C", "device_class": "temperature"})),
    );
    add("memory", measured("Memory", "rss_bytes", json!({"unit_of_measurement": "B", "device_class": "data_size"})));
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
            "state_topic": terms.topic_of("event"), "value_template": "ON", "off_delay": DEFECT_S,
            "json_attributes_topic": terms.topic_of("event")}),
    );
    add(
        "fault",
        json!({"platform": "binary_sensor", "name": "Fault", "device_class": "problem", "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.faults is defined else 'OFF' }}"}),
    );
    let mut device = json!({
        "identifiers": [id], "name": format!("Lineside {}", terms.machine), "manufacturer": "Lineside",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(board) = &terms.board {
        device["model"] = board.as_str().into();
    }
    json!({
        "device": device,
        "origin": {"name": "lineside", "sw_version": env!("CARGO_PKG_VERSION")},
        "components": components,
        "state_topic": terms.topic_of("status"),
        "availability_topic": terms.presence(),
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "qos": 1,
    })
    .to_string()
}

/// A number of the status records. Where a board does not know it, its state is unknown.
fn measured(name: &str, field: &str, more: Value) -> Value {
    let template = format!("{{{{ value_json.{field} | default(none) }}}}");
    let mut component = json!({
        "platform": "sensor", "name": name, "state_class": "measurement", "value_template": template,
    });
    if let (Some(component), Value::Object(more)) = (component.as_object_mut(), more) {
        component.extend(more);
    }
    component
}

/// Letters that Home Assistant takes in a topic of its own.
fn identity(terms: &Terms) -> String {
    terms.client_id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}
