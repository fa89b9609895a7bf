//! When and where a record or message was written: its own time, what stands around it, the local clock.

use super::{Context, EntryReader};
use crate::hash::fnv;
use crate::input::DamageKind;
use crate::parser::local_clock::Placed;
use crate::parser::stamp::Stamp;
use crate::parser::time::Millis;
use crate::parser::{Entry, ours};

impl EntryReader {
    /// A record is read: its time, host and process.
    pub(super) fn finish(&mut self, context: Context, entry: &mut Entry) -> bool {
        let own = ours::own_time(&entry.fields);
        entry.time = own;
        // A table has the columns that somebody chose.
        if ours::is_short(&entry.fields) && !(context.is_row && entry.record() != b"status") {
            // Where the line looks whole, its last value may be cut, too. Counts are used only where all are there.
            if !entry.truncated && entry.fields.get("captured").is_none() {
                entry.fields.pop();
            }
            entry.cut_short = true;
        }
        if let Some(stamp) = context.stamp {
            let hint = own.or_else(|| ours::image_time(&entry.fields));
            let placed = self.place(&stamp, hint, entry.line);
            entry.time = own.or(placed);
            if let (Stamp::Local(_) | Stamp::Yearless { offset: None, .. }, None, Some(time)) = (stamp, own, placed) {
                entry.time = Some(self.follow(&context, time, entry));
            }
        }
        self.take_context(context, entry);
        true
    }

    pub(super) fn place(&mut self, stamp: &Stamp, hint: Option<Millis>, line: u64) -> Option<Millis> {
        self.has_stamp = true;
        let placed = self.clock.place(stamp, hint);
        self.first_offset = self.first_offset.or(self.clock.offset());
        match placed {
            Placed::At(time) => Some(time),
            Placed::Assumed(time) => {
                self.lines.damage.note(DamageKind::NoTimeZone, line);
                Some(time)
            }
            Placed::Unknown => None,
        }
    }

    /// The local time of a record, with a step of the local clock before it.
    pub(super) fn follow(&mut self, context: &Context, time: Millis, entry: &Entry) -> Millis {
        let process = context.pid.unwrap_or_else(|| fnv(&context.program));
        let run = entry.fields.get("run").map_or(process, fnv) ^ fnv(&context.host);
        match entry.fields.number("uptime_s") {
            Some(uptime) if matches!(entry.record(), b"status" | b"stop") => {
                let (time, stepped) = self.clock.status(run, time, uptime);
                if stepped {
                    self.lines.damage.note(DamageKind::LocalTimeStep, entry.line);
                }
                self.clock.seen(process, time);
                time
            }
            _ => self.clock.line(process, time),
        }
    }

    pub(super) fn take_context(&mut self, context: Context, entry: &mut Entry) {
        if entry.host.is_empty() {
            entry.host.push_str(&String::from_utf8_lossy(&context.host));
        }
        entry.pid = entry.pid.or(context.pid);
    }
}
