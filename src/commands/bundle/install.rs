//! `lineside bundle install`: a bundle is verified, copied into the store and becomes the active version, or the shadow.

use super::place::{RELOAD, StoreArguments, active_title, installable_name, title};
use super::policy::PolicyArguments;
use crate::bundle::{Bundle, Home, Moment, Role, Trial, find, is_installable_name, self_test};
use crate::escape::one_line;
use jiff::SignedDuration;
use std::io::Write;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo -u lineside lineside bundle install /media/usb/parts-2
  sudo -u lineside lineside bundle install /media/usb/parts-2 --confirm-within 8h
  sudo -u lineside lineside bundle install /media/usb/parts-2 --shadow";

#[derive(clap::Args)]
pub struct InstallArguments {
    /// A bundle's folder, or its name
    bundle: String,
    /// Judge it beside the active version instead
    #[arg(long, conflicts_with = "confirm_within")]
    shadow: bool,
    /// How long the line goes back by itself where the new version finds far more defects; 0s: not at all
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = seconds)]
    confirm_within: u64,
    #[command(flatten)]
    target: TargetArguments,
}

/// What `install` and `shadow` share.
#[derive(clap::Args)]
pub struct TargetArguments {
    /// The name by which the line's configuration names it [default: the bundle's own name]
    #[arg(long = "as", value_name = "NAME", value_parser = installable_name)]
    name: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    policy: PolicyArguments,
}

/// A time such as `24h` or `30m`, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let time = text.parse::<SignedDuration>().ok();
    time.and_then(|time| u64::try_from(time.as_secs()).ok())
        .ok_or_else(|| "expected a time such as 24h, 90m or 0s".into())
}

pub fn run(arguments: &InstallArguments) -> anyhow::Result<ExitCode> {
    let trial = Trial::begin(&Moment::now(), arguments.confirm_within);
    let role = if arguments.shadow { Role::Shadow } else { Role::Active(trial) };
    arguments.target.take(&arguments.bundle, role)
}

impl TargetArguments {
    pub fn store(&self) -> &StoreArguments {
        &self.store
    }

    /// Verifies a bundle, copies it into the store and gives it a role.
    pub fn take(&self, bundle: &str, role: Role) -> anyhow::Result<ExitCode> {
        let policy = self.policy.read()?;
        let bundle = find(bundle)?;
        let signer = policy.check(&bundle)?;
        let vectors = self_test(&bundle)?;
        let own = &bundle.manifest().name;
        if self.name.is_none() && !is_installable_name(own) {
            let problem =
                format!("name = \"{}\" is no name for an installed bundle: --as names another", one_line(own));
            return Err(bundle.blame("bundle.toml", problem).into());
        }
        let name = self.name.as_ref().unwrap_or(own);
        let is_shadow = role == Role::Shadow;
        if is_shadow && !bundle.manifest().task.judges_frames() {
            let task = bundle.manifest().task.name();
            return Err(bundle
                .blame("bundle.toml", format!("task is \"{task}\": only what judges frames can be a shadow"))
                .into());
        }
        let installed = self.store.open().install(name, &bundle, role)?;
        let mut out = crate::commands::stdout();
        let kernel = vectors.first().map_or(String::new(), |vector| format!(" with the kernels {}", vector.kernel));
        writeln!(
            out,
            "{}: {}, {} golden outputs agree{kernel}",
            title(&bundle),
            one_line(&signer.to_string()),
            vectors.len()
        )?;
        let home = &installed.home;
        if !installed.changed {
            writeln!(out, "it is {} already, and whole", if is_shadow { "the shadow" } else { "the active version" })?;
            return Ok(ExitCode::SUCCESS);
        }
        if is_shadow {
            print_shadow(&mut out, home, &bundle)?;
        } else {
            print_active(&mut out, home)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_active(out: &mut impl Write, home: &Home) -> anyhow::Result<()> {
    let before = match &home.state().previous {
        Some(previous) => match home.version(previous) {
            Ok(before) => format!("; the version before is {}", title(&before)),
            Err(error) => format!("; the version before cannot be used: {}", one_line(&error.to_string())),
        },
        None => String::new(),
    };
    writeln!(out, "{} is the active version of {}{before}", active_title(home)?, home.name())?;
    writeln!(out, "next: {RELOAD}; if it judges well: lineside bundle confirm {}", home.name())?;
    Ok(())
}

fn print_shadow(out: &mut impl Write, home: &Home, shadow: &Bundle) -> anyhow::Result<()> {
    writeln!(out, "{} is judged beside {}", title(shadow), active_title(home)?)?;
    writeln!(out, "next: {RELOAD}; if it judges better: lineside bundle confirm {}", home.name())?;
    Ok(())
}
