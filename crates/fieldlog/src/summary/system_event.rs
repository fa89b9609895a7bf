//! Messages of systemd and the kernel about the service and the board.

/// An event that systemd or the kernel reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemEvent {
    /// The watchdog was not fed.
    Watchdog,
    /// The kernel ended a process for lack of memory.
    OutOfMemory,
    /// The main process ended by a signal.
    Signal(u32),
    /// The main process ended by itself.
    Exit(u32),
    /// A stop was requested.
    Stopping,
    /// It could not be kept up and is left down.
    GaveUp,
    /// The machine was started.
    Boot,
    /// The supply's voltage is too low.
    Undervoltage,
    /// A USB device went away.
    UsbDisconnect,
    /// The USB bus has errors.
    UsbError,
    /// The card or disk has errors.
    DiskError,
    /// Another program was ended for lack of memory.
    OtherOutOfMemory(String),
}

/// Parses a message of systemd about `lineside.service`.
pub fn parse_systemd(text: &str) -> Option<SystemEvent> {
    if text.contains("Watchdog timeout") || text.contains("Failed with result 'watchdog'") {
        return Some(SystemEvent::Watchdog);
    }
    if text.contains("killed by the OOM killer") || text.contains("Failed with result 'oom-kill'") {
        return Some(SystemEvent::OutOfMemory);
    }
    if text.contains("Start request repeated too quickly") || text.contains("Failed with result 'start-limit-hit'") {
        return Some(SystemEvent::GaveUp);
    }
    if let Some((_, exit_reason)) = text.split_once("Main process exited, code=") {
        let status = exit_reason.split_once("status=")?.1;
        let number = status.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let exited = exit_reason.starts_with("exited");
        return Some(if exited { SystemEvent::Exit(number) } else { SystemEvent::Signal(number) });
    }
    (text.starts_with("Stopping ")).then_some(SystemEvent::Stopping)
}

/// Parses a message of the kernel.
pub fn parse_kernel(text: &str) -> Option<SystemEvent> {
    if text.contains("ut of memory: Killed process") {
        // `Memory cgroup out of memory: Killed process 812 (lineside) total-vm:…`
        let name = text.split_once('(')?.1.split_once(')')?.0;
        return Some(if name.starts_with("lineside") {
            SystemEvent::OutOfMemory
        } else {
            // The kernel's names have 15 bytes.
            SystemEvent::OtherOutOfMemory(name[..name.floor_char_boundary(64)].to_string())
        });
    }
    let has = |part: &str| text.contains(part);
    match () {
        () if has("ndervoltage detected") || has("nder-voltage detected") => Some(SystemEvent::Undervoltage),
        () if has("USB disconnect") => Some(SystemEvent::UsbDisconnect),
        () if has("usb ") && (has("error -") || has("not responding") || has("unable to enumerate")) => {
            Some(SystemEvent::UsbError)
        }
        () if has("uvcvideo") && (has("error") || has("Failed")) => Some(SystemEvent::UsbError),
        () if has("EXT4-fs error")
            || has("I/O error")
            || has("Remounting filesystem read-only")
            || has("card stuck") =>
        {
            Some(SystemEvent::DiskError)
        }
        () if has("mmc") && (has("error -110") || has("Timeout waiting for hardware")) => Some(SystemEvent::DiskError),
        () if text.starts_with("Booting Linux") || text.starts_with("Linux version") => Some(SystemEvent::Boot),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_systemd_are_parsed() {
        for (text, event) in [
            ("lineside.service: Watchdog timeout (limit 10s)!", Some(SystemEvent::Watchdog)),
            ("lineside.service: Main process exited, code=killed, status=9/KILL", Some(SystemEvent::Signal(9))),
            ("lineside.service: Main process exited, code=dumped, status=6/ABRT", Some(SystemEvent::Signal(6))),
            ("lineside.service: Main process exited, code=exited, status=78/CONFIG", Some(SystemEvent::Exit(78))),
            ("lineside.service: Main process exited, code=exited, status=101/n/a", Some(SystemEvent::Exit(101))),
            (
                "lineside.service: A process of this unit has been killed by the OOM killer.",
                Some(SystemEvent::OutOfMemory),
            ),
            ("lineside.service: Failed with result 'oom-kill'.", Some(SystemEvent::OutOfMemory)),
            ("lineside.service: Start request repeated too quickly.", Some(SystemEvent::GaveUp)),
            (
                "Stopping lineside.service - Lineside, visual inspection of a production line...",
                Some(SystemEvent::Stopping),
            ),
            ("lineside.service: Consumed 1.2s CPU time.", None),
            ("lineside.service: Main process exited, code=", None),
        ] {
            assert_eq!(parse_systemd(text), event, "{text}");
        }
    }

    #[test]
    fn lines_of_the_kernel_are_parsed() {
        for (text, event) in [
            ("Memory cgroup out of memory: Killed process 812 (lineside) total-vm:1kB", Some(SystemEvent::OutOfMemory)),
            (
                "Out of memory: Killed process 9 (chromium) total-vm:1kB",
                Some(SystemEvent::OtherOutOfMemory("chromium".into())),
            ),
            ("hwmon hwmon1: Undervoltage detected!", Some(SystemEvent::Undervoltage)),
            ("usb 1-1.2: USB disconnect, device number 5", Some(SystemEvent::UsbDisconnect)),
            ("usb 1-1: device descriptor read/64, error -71", Some(SystemEvent::UsbError)),
            ("blk_update_request: I/O error, dev mmcblk0, sector 1", Some(SystemEvent::DiskError)),
            ("usb 1-1.2: new high-speed USB device number 6 using xhci_hcd", None),
        ] {
            assert_eq!(parse_kernel(text), event, "{text}");
        }
    }
}
