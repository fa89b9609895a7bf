//! The emulated board: it boots, takes scripts, and can be cut off from power.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Functions for every script. Times are of the board's own clock, which counts from its start and is not set by anybody.
const WORDS: &str = r#"
# Milliseconds since the start.
now() { local up _; read -r up _ </proc/uptime; echo $((10#${up/./} * 10)); }
# within SECONDS COMMAND…: until it succeeds. SECONDS are those of an idle machine; it fails after ten times as long, so that
# other programs may take most of the time.
within() {
    local end=$(($(now) + $1 * 10000)); shift
    until "$@"; do
        [ "$(now)" -lt $end ] || { echo "not in time: $*"; return 1; }
        sleep 0.1
    done
}
# A property of the service, as systemd has it.
property() { systemctl show lineside -P "$1"; }
# Frames inspected so far, as in the status text.
inspected() { property StatusText | sed -n 's/.*[ ;]\([0-9]*\) inspected.*/\1/p'; }
inspects_more_than() { local told; told=$(inspected); [ "${told:-0}" -gt "$1" ]; }
# The service inspects frames: some more from now on, within SECONDS.
goes_on() { local told; told=$(inspected); within "${1:-30}" inspects_more_than "$((${told:-0} + ${2:-2}))"; }
# Reloads the configuration and waits until the run with the new one has begun: frames that the one before still has in its
# hands are recorded by then. `systemctl reload` itself returns before.
starts() { journalctl -b -u lineside -q -o cat | grep -c record=start; }
starts_more_than() { [ "$(starts)" -gt "$1" ]; }
reloads() { local told; told=$(starts); systemctl reload lineside && within 30 starts_more_than "$told"; }
"#;

/// Ends a test that hangs. Longer than any script takes, also where other programs take most of the time.
const LONGEST: Duration = Duration::from_secs(1800);

/// A running board. Dropped, it is gone at once.
pub struct Machine {
    qemu: Child,
    answers: BufReader<UnixStream>,
    folder: PathBuf,
    asked: u64,
}

impl Machine {
    /// Boots `board` on the disk in `folder`, which is made where it is missing, and waits until it takes scripts.
    pub fn boot(folder: &Path, board: &Path) -> Result<Machine> {
        let socket = folder.join("commands");
        let _ = std::fs::remove_file(&socket);
        let script = super::root().join("cross/vm/boot");
        let mut qemu = Command::new(script).arg(folder).arg(board).stdin(Stdio::null()).spawn()?;
        let begun = Instant::now();
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&socket) {
                break stream;
            }
            if let Some(status) = qemu.try_wait()? {
                bail!("the machine did not start: {status}");
            }
            ensure!(begun.elapsed() < LONGEST, "the machine did not start");
            std::thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(LONGEST))?;
        let mut machine = Machine { qemu, answers: BufReader::new(stream), folder: folder.into(), asked: 0 };
        let mut line = String::new();
        machine.answers.read_line(&mut line).with_context(|| machine.console())?;
        ensure!(line == "up\n", "{line:?}\n{}", machine.console());
        Ok(machine)
    }

    /// Runs a script, which must succeed; gives what it wrote. The error has what the service said last.
    pub fn run(&mut self, script: &str) -> Result<String> {
        let (code, said) = self.attempt(script)?;
        let said = String::from_utf8_lossy(&said).into_owned();
        if code != 0 {
            let (_, journal) = self.attempt("journalctl -b -u lineside -q --no-pager -n 40 -o short-monotonic")?;
            let journal = String::from_utf8_lossy(&journal).into_owned();
            bail!("exit code {code}: {}\nof: {script}\nthe journal's end:\n{journal}", said.trim());
        }
        Ok(said)
    }

    /// Runs a script and gives the one number that it wrote.
    pub fn number(&mut self, script: &str) -> Result<f64> {
        let said = self.run(script)?;
        said.trim().parse().with_context(|| format!("a number was expected: {said:?}"))
    }

    /// Runs a script; gives its exit code and what it wrote.
    pub fn attempt(&mut self, script: &str) -> Result<(i32, Vec<u8>)> {
        self.asked += 1;
        let script = format!("{WORDS}\n{script}");
        let stream = self.answers.get_mut();
        write!(stream, "{} {}\n{script}", self.asked, script.len()).context("the machine is gone")?;
        let mut line = String::new();
        self.answers.read_line(&mut line).with_context(|| format!("no answer\n{}", self.console()))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [number, code, length] = words[..] else { bail!("{line:?} is no answer\n{}", self.console()) };
        ensure!(number == self.asked.to_string(), "the answer to another question: {line:?}");
        let mut said = vec![0; length.parse()?];
        self.answers.read_exact(&mut said).context("the answer is cut")?;
        Ok((code.parse()?, said))
    }

    /// A file of the board.
    pub fn file(&mut self, path: &str) -> Result<Vec<u8>> {
        let (code, bytes) = self.attempt(&format!("cat '{path}'"))?;
        ensure!(code == 0, "{path}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes)
    }

    /// Writes a small file of the board.
    pub fn write(&mut self, path: &str, text: &str) -> Result<()> {
        self.run(&format!("cat >'{path}' <<'END_OF_FILE'\n{text}\nEND_OF_FILE")).map(drop)
    }

    /// A register of the board's hardware, read by QEMU's monitor: nothing inside the board has a part in it.
    pub fn register(&self, address: u64) -> Result<u32> {
        let mut monitor = UnixStream::connect(self.folder.join("monitor"))?;
        monitor.set_read_timeout(Some(LONGEST))?;
        writeln!(monitor, "xp /1wx {address:#x}")?;
        let mut lines = BufReader::new(monitor).lines();
        // As in "0000000009030000: 0x00000020".
        let begins = format!("{address:016x}: 0x");
        let line = lines.find_map(|line| Some(line.ok()?.strip_prefix(&begins)?.trim().to_string()));
        Ok(u32::from_str_radix(&line.context("the monitor does not answer")?, 16)?)
    }

    /// Takes the power away.
    pub fn power_cut(mut self) -> Result<()> {
        self.qemu.kill()?;
        self.qemu.wait()?;
        Ok(())
    }

    /// The end of what kernel and manager said.
    fn console(&self) -> String {
        let text = std::fs::read(self.folder.join("console.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
        format!("the console's last words:\n{text}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
