//! Boards that never were, and what happens to them.

/// 2026-11-21 00:00:00 UTC, in milliseconds.
const MIDNIGHT: i64 = 1_795_219_200_000;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;

/// Who writes a line.
#[derive(Clone, PartialEq)]
pub enum Voice {
    Record(Vec<(String, String)>),
    Systemd(String),
    Kernel(String),
    Words(String),
}

/// A line.
#[derive(Clone)]
pub struct Said {
    pub time: i64,
    pub pid: u32,
    pub boot: u32,
    pub voice: Voice,
}

/// A board with a service, in the making of its log. What it is like now may be changed between ticks.
#[derive(Clone)]
pub struct Story {
    pub host: String,
    pub time: i64,
    pub version: String,
    pub bundle: String,
    pub budget: u64,
    pub fps: u64,
    /// Milliseconds that judging takes, half of the time.
    pub judge: f64,
    pub celsius: Option<f64>,
    pub throttled: u32,
    pub rss: u64,
    /// Per thousand of the frames.
    pub dropped: u64,
    pub failed: u64,
    pub defects: u64,
    /// The middle of the scores.
    pub score: f64,
    /// The middle of the severities, which older programs do not record; an event's own.
    pub severity: Option<f64>,
    pub brightness: f64,
    pub sharpness: f64,
    pub source: &'static str,
    pub boot: u32,
    /// Added to the time of the wall clock.
    pub skew: i64,
    pub said: Vec<Said>,
    run: u32,
    begun: i64,
    counts: [u64; 6],
    random: u64,
}

impl Story {
    pub fn new(host: &str) -> Story {
        Story {
            host: host.into(),
            time: MIDNIGHT,
            version: "0.1.0".into(),
            bundle: "inspect-demo 3 1a2b3c4d".into(),
            budget: 128 << 20,
            fps: 10,
            judge: 18.0,
            celsius: Some(61.0),
            throttled: 0,
            rss: 84 << 20,
            dropped: 0,
            failed: 0,
            defects: 0,
            score: 0.3,
            severity: None,
            brightness: 118.0,
            sharpness: 41.0,
            source: "flowing",
            boot: 1,
            skew: 0,
            said: Vec::new(),
            run: host.bytes().map(u32::from).sum(),
            begun: 0,
            counts: [0; 6],
            random: 88_172_645_463_325_252,
        }
    }

    /// A number in 0..1; the same ones each time.
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn say(&mut self, voice: Voice) {
        self.said.push(Said { time: self.time + self.skew, pid: 700 + self.run, boot: self.boot, voice });
    }

    pub fn record(&mut self, kind: &str, fields: &[(&str, &str)]) {
        let mut all = vec![("record".to_string(), kind.to_string()), ("run".to_string(), format!("{:08x}", self.run))];
        all.extend(fields.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        self.say(Voice::Record(all));
    }

    pub fn systemd(&mut self, text: &str) {
        self.say(Voice::Systemd(text.into()));
    }

    pub fn kernel(&mut self, text: &str) {
        self.say(Voice::Kernel(text.into()));
    }

    pub fn words(&mut self, text: &str) {
        self.say(Voice::Words(text.into()));
    }

    pub fn wait(&mut self, millis: i64) -> &mut Story {
        self.time += millis;
        self
    }

    pub fn start(&mut self, previous: &str) -> &mut Story {
        self.run += 1;
        self.begun = self.time;
        self.counts = [0; 6];
        let (host, version, bundle) = (self.host.clone(), self.version.clone(), self.bundle.clone());
        let (budget, boot, pid) =
            (self.budget.to_string(), format!("{:032x}", self.boot), (700 + self.run).to_string());
        self.record(
            "start",
            &[
                ("host", &host),
                ("version", &version),
                ("source", "camera /dev/video0 640x480"),
                ("config", "/etc/lineside/lineside.toml"),
                ("bundles", &bundle),
                ("output", "/var/lib/lineside"),
                ("budget_bytes", &budget),
                ("bill_bytes", "96000000"),
                ("bill", "engine 30000000; frames 4000000"),
                ("cpu", "Cortex-A72"),
                ("cores", "4"),
                ("kernel", "neon"),
                ("boot", &boot),
                ("pid", &pid),
                ("os", "6.6.31"),
                ("previous", previous),
            ],
        );
        self
    }

    /// Goes on for a time, with a status every ten seconds.
    pub fn go(&mut self, millis: i64) -> &mut Story {
        let end = self.time + millis;
        while self.time + 10 * SECOND <= end {
            self.time += 10 * SECOND;
            self.status();
        }
        self
    }

    pub fn status(&mut self) {
        let frames = if self.source == "away" { 0 } else { self.fps * 10 };
        let share = |thousandth: u64, chance: f64| (frames as f64 * thousandth as f64 / 1000.0 + chance) as u64;
        let (a, b, c) = (self.chance(), self.chance(), self.chance());
        let (dropped, failed) = (share(self.dropped, a), share(self.failed, b));
        let defects = share(self.defects, c);
        let [captured, inspected, _, stale, broken, defect] = &mut self.counts;
        *captured += frames;
        *inspected += frames - dropped - failed;
        *stale += dropped;
        *broken += failed;
        *defect += defects;
        let noise = 0.9 + 0.2 * self.chance();
        let mut fields: Vec<(String, String)> = vec![
            ("uptime_s".into(), format!("{:.1}", (self.time - self.begun) as f64 / 1000.0)),
            ("seconds".into(), "10".into()),
        ];
        fields.extend(self.count_fields());
        fields.push(("fps".into(), format!("{:.1}", frames as f64 / 10.0)));
        fields.push(("score".into(), format!("{}", self.score)));
        if frames > 0 {
            for (stage, base) in [("verdict", self.judge + 5.0), ("wait", 3.0), ("judge", self.judge), ("write", 6.0)] {
                for (name, factor) in [("p50", 1.0), ("p95", 1.4), ("p99", 1.8), ("max", 2.6)] {
                    fields.push((format!("{stage}_{name}_ms"), format!("{:.2}", base * factor * noise)));
                }
            }
            let middle = ((self.score * 20.0) as usize).min(18);
            let bins: Vec<String> =
                (0..20).map(|bin: usize| (frames >> (1 + bin.abs_diff(middle))).to_string()).collect();
            fields.push(("scores".into(), bins.join(",")));
            if let Some(severity) = self.severity {
                let middle = ((severity * 4.0) as usize).min(19);
                let bins: Vec<String> =
                    (0..20).map(|bin: usize| (frames >> (1 + bin.abs_diff(middle)).min(63)).to_string()).collect();
                fields.push(("severities".into(), bins.join(",")));
            }
            fields.push(("brightness".into(), format!("{}", self.brightness)));
            fields.push(("sharpness".into(), format!("{}", self.sharpness)));
        }
        fields.push(("source".into(), self.source.into()));
        fields.push(("rss_bytes".into(), (self.rss + (self.chance() * 100_000.0) as u64).to_string()));
        fields.push(("allocs_since_sealed".into(), "6".into()));
        if let Some(celsius) = self.celsius {
            fields.push(("temperature_c".into(), format!("{:.1}", celsius + self.chance())));
            fields.push(("throttled".into(), format!("{:#x}", self.throttled)));
            fields.push(("heat".into(), "0".into()));
        }
        fields.push(("held_back".into(), "0".into()));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.record("status", &fields);
    }

    pub fn count_fields(&self) -> Vec<(String, String)> {
        const NAMES: [&str; 6] = ["captured", "inspected", "skipped_similar", "dropped_stale", "failed", "defects"];
        NAMES.iter().zip(self.counts).map(|(name, count)| (name.to_string(), count.to_string())).collect()
    }

    pub fn event(&mut self, score: f64, latency_ms: f64) {
        let frame = format!("part-{}", self.counts[0]);
        let picture = format!("{}-{frame}.png", self.time);
        let (score, latency) = (score.to_string(), latency_ms.to_string());
        let severity = self.severity.map(|severity| severity.to_string());
        let mut fields = vec![
            ("frame", frame.as_str()),
            ("score", &score),
            ("threshold", "0.99"),
            ("regions", "120,88,40,32"),
            ("latency_ms", &latency),
            ("annotated", &picture),
            ("spot", ""),
        ];
        fields.extend(severity.iter().map(|severity| ("severity", severity.as_str())));
        self.record("event", &fields);
    }

    pub fn fault(&mut self, fault: &str, state: &str, cause: &str, seconds: Option<f64>) {
        let seconds = seconds.map(|seconds| seconds.to_string());
        let mut fields = vec![("fault", fault), ("state", state), ("cause", cause)];
        if let Some(seconds) = &seconds {
            fields.extend([("seconds", seconds.as_str()), ("count", "7")]);
        }
        self.record("fault", &fields);
    }

    /// The camera is away for a time.
    pub fn outage(&mut self, millis: i64) -> &mut Story {
        const CAUSE: &str = "camera /dev/video0: no such camera: plug it in; `lineside devices` shows what is there";
        let from = self.time;
        self.fault("camera", "begin", CAUSE, None);
        let before = std::mem::replace(&mut self.source, "away");
        self.go(millis);
        self.time = from + millis;
        self.fault("camera", "end", CAUSE, Some(millis as f64 / 1000.0));
        self.source = before;
        self
    }

    pub fn stop(&mut self, reason: &str) -> &mut Story {
        let mut fields = vec![("reason".to_string(), reason.to_string())];
        fields.push(("uptime_s".into(), format!("{:.1}", (self.time - self.begun) as f64 / 1000.0)));
        fields.extend(self.count_fields());
        fields.push(("peak_rss_bytes".into(), self.rss.to_string()));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.record("stop", &fields);
        self
    }

    /// What systemd says when the main process is killed.
    pub fn killed(&mut self, why: &str) -> &mut Story {
        if why == "watchdog" {
            self.systemd("lineside.service: Watchdog timeout (limit 10s)!");
            self.systemd("lineside.service: Killing process 812 (lineside) with signal SIGKILL.");
        } else if why == "oom-kill" {
            self.systemd("lineside.service: A process of this unit has been killed by the OOM killer.");
        }
        self.systemd("lineside.service: Main process exited, code=killed, status=9/KILL");
        self.systemd(&format!("lineside.service: Failed with result '{why}'."));
        self.wait(SECOND);
        self.systemd("lineside.service: Scheduled restart job, restart counter is at 1.");
        self
    }

    /// The frames of all that was said, by the last counts of each run.
    pub fn captured(&self) -> u64 {
        let mut last = std::collections::BTreeMap::new();
        for said in &self.said {
            if let Voice::Record(fields) = &said.voice {
                let of = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                if let (Some(run), Some(captured)) = (of("run"), of("captured")) {
                    last.insert(run, captured.parse::<u64>().unwrap());
                }
            }
        }
        last.values().sum()
    }
}
