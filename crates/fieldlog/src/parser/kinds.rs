//! The kinds of records.

/// Kinds of records (docs/field-log.md).
const KINDS: [&str; 39] = [
    "start",
    "goes_on",
    "status",
    "event",
    "normal",
    "fault",
    "part",
    "shift",
    "heat",
    "review",
    "stop",
    "enlarging",
    "enlarging_limited",
    "camera_streams",
    "camera_failed",
    "camera_not_smaller",
    "heat_sensors",
    "status_page",
    "bundle_untested",
    "token_readable",
    "modbus",
    "mqtt_connected",
    "reload",
    "reload_refused",
    "start_failed",
    "bundle_command",
    "teaching_begun",
    "teaching_ended",
    "bundle_reverted",
    "command",
    "product_loaded",
    "marked",
    "command_refused",
    "shadow",
    "shadow_refused",
    "torn_line_cut_off",
    "foreign_file_moved_aside",
    "LINESIDE_LOG_is_unusable",
    "source_output",
];

/// Whether it is the name of a kind of record.
pub fn is_kind(value: &[u8]) -> bool {
    KINDS.iter().any(|kind| kind.as_bytes() == value)
}
