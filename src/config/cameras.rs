//! `[[camera]]`: several cameras in one file. What a camera's table does not state is inherited from the top of the file, key by key;
//! out of both comes one [`Config`] for each camera, as of a line of its own.

use super::{Config, ConfigError, FolderConfig, Origin, Source, Violation};
use crate::source::camera::same_device;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The most cameras of a file: each has four threads and buffers of its own.
const MOST: usize = 8;
/// The longest name.
const LONGEST: usize = 32;
/// What belongs to the process and not to a camera.
const OF_THE_PROCESS: [&str; 2] = ["budget", "bundles"];
/// Folders that lines make among their results.
const TAKEN: [&str; 2] = [crate::sink::NORMAL, crate::sink::MARKS];

/// Which one a configuration is of several cameras in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraIdentity {
    /// Its name in records, topics and folders.
    pub name: String,
    /// How many cameras the file has.
    pub of: usize,
    /// The names of those that have a status page, in the order of the file, and its address.
    pub pages: Vec<(String, SocketAddr)>,
}

impl Config {
    /// Reads and validates the file at `path`: one configuration, or one for each `[[camera]]`, in the order of the file. All have the
    /// same budget, that of the process.
    ///
    /// # Errors
    /// As [`Config::load`], and where two cameras would share what only one can have.
    pub fn load_all(path: &Path) -> Result<Vec<Config>, ConfigError> {
        Config::parse_all(&Config::read(path)?, path)
    }

    /// As [`Config::load_all`], out of the content of the file.
    ///
    /// # Errors
    /// As [`Config::load_all`].
    pub fn parse_all(text: &str, path: &Path) -> Result<Vec<Config>, ConfigError> {
        let origin = Origin::new(text, path);
        let mut root = origin.read_table(text)?;
        let Some((key, cameras)) = root.get_mut().remove_entry("camera") else {
            return Ok(vec![Config::of_table(root, text, origin)?]);
        };
        let not_a_list = || origin.error_at(key.span().start, "camera: write [[camera]], once for each camera".into());
        let DeValue::Array(cameras) = cameras.into_inner() else { return Err(not_a_list()) };
        refuse_at_the_top(root.get_ref(), &origin)?;
        let (span, top, of) = (root.span(), root.into_inner(), cameras.len());
        if of == 0 {
            return Err(not_a_list());
        }
        let mut configs: Vec<Config> = Vec::with_capacity(of);
        let mut names: Vec<Spanned<String>> = Vec::with_capacity(of);
        for (place, camera) in cameras.into_iter().enumerate() {
            let at = camera.span().start;
            let DeValue::Table(mut own) = camera.into_inner() else { return Err(not_a_list()) };
            if place == MOST {
                return Err(origin.error_at(at, format!("a file has at most {MOST} cameras, this is one more")));
            }
            let name = take_name(&mut own, at, &origin)?;
            if let Some(before) = names.iter().find(|before| before.get_ref() == name.get_ref()) {
                let line = origin.line_of(before.span().start);
                let problem = format!("camera.name \"{}\": the camera on line {line} has this name", name.get_ref());
                return Err(origin.error_at(name.span().start, problem));
            }
            let origin = origin.of_camera(name.get_ref());
            refuse_in_a_camera(&own, at, &origin)?;
            let states = |name: &str, key: &str| table(&own, name).is_some_and(|table| table.contains_key(key));
            let has_own_folder = states("output", "folder");
            let (has_own_page, has_own_server) = (states("status_page", "listen"), states("modbus", "listen"));
            let mut config = Config::of_table(Spanned::new(span.clone(), merged(&top, own)), text, origin)?;
            if !has_own_folder {
                let folder = &config.output.folder;
                config.output.folder = Spanned::new(folder.span(), folder.get_ref().join(name.get_ref()));
            }
            if let Some(page) = config.status_page.as_mut().filter(|_| !has_own_page) {
                next_port(&mut page.listen, place, "status_page", &config.origin)?;
            }
            if let Some(plc) = config.modbus.as_mut().filter(|_| !has_own_server) {
                next_port(&mut plc.listen, place, "modbus", &config.origin)?;
            }
            if let Some(mqtt) = &mut config.mqtt {
                mqtt.camera = Some(name.get_ref().clone());
            }
            config.camera = Some(CameraIdentity { name: name.get_ref().clone(), of, pages: Vec::new() });
            if let Some((at, problem)) = config.listen_problem() {
                return Err(config.origin.error_at(at, problem));
            }
            for before in &configs {
                config.clash_with(before).map_or(Ok(()), Err)?;
            }
            configs.push(config);
            names.push(name);
        }
        let page = |config: &Config| {
            Some((config.camera.as_ref()?.name.clone(), *config.status_page.as_ref()?.listen.get_ref()))
        };
        let pages: Vec<(String, SocketAddr)> = configs.iter().filter_map(page).collect();
        configs
            .iter_mut()
            .filter_map(|config| config.camera.as_mut())
            .for_each(|camera| camera.pages.clone_from(&pages));
        Ok(configs)
    }

    /// What this camera has that another one has already, and only one can have.
    fn clash_with(&self, other: &Config) -> Option<ConfigError> {
        let name = other.camera.as_ref().map_or("", |camera| camera.name.as_str());
        let each = |what: &str| format!("{what} of camera {name}, too: each needs its own");
        if let Some(problem) = self.source_clash(other, name) {
            return Some(problem);
        }
        let theirs = other.gpio_lines();
        if let Some((own, taken)) = self.gpio_lines().iter().find_map(|own| Some((*own, own.among(&theirs)?))) {
            let problem = each(&format!("{}: {} is {}", own.key, own.address, taken.key));
            return Some(self.origin.error_at(own.at, problem));
        }
        let folder = &self.output.folder;
        if absolute(folder.get_ref()) == absolute(other.output.folder.get_ref()) {
            let what = format!("output.folder = {} is that", folder.get_ref().display());
            return Some(self.error_at(folder, each(&what)));
        }
        let taken = |(table, own): (&'static str, _)| {
            let theirs = other.listeners().find(|(_, theirs)| overlap(Spanned::get_ref(own), theirs.get_ref()))?;
            Some((table, own, theirs.0))
        };
        let (table, own, theirs) = self.listeners().find_map(taken)?;
        let problem = format!(
            "{table}.listen = {} is {} of camera {name}, too: where a camera does not state it in [camera.{table}], it has the port of the \
             top and one more for each camera before it",
            own.get_ref(),
            if table == theirs { "that".into() } else { format!("{theirs}.listen") }
        );
        // A default lies nowhere in the file: the camera does.
        Some(if own.span().is_empty() {
            self.error_at(&self.output.folder, problem)
        } else {
            self.error_at(own, problem)
        })
    }

    /// What listens at a port, with its table.
    fn listeners(&self) -> impl Iterator<Item = (&'static str, &Spanned<SocketAddr>)> {
        let page = self.status_page.as_ref().map(|page| ("status_page", &page.listen));
        page.into_iter().chain(self.modbus.as_ref().map(|plc| ("modbus", &plc.listen)))
    }

    /// A port that is listened at twice in one line.
    pub(super) fn listen_problem(&self) -> Option<Violation> {
        let (page, plc) = (&self.status_page.as_ref()?.listen, &self.modbus.as_ref()?.listen);
        let problem = || {
            let text = format!(
                "modbus.listen = {} is that of status_page.listen, too: each needs its own port",
                plc.get_ref()
            );
            (if plc.span().is_empty() { page } else { plc }.span().start, text)
        };
        overlap(page.get_ref(), plc.get_ref()).then(problem)
    }

    fn source_clash(&self, other: &Config, name: &str) -> Option<ConfigError> {
        let problem = |what: String| format!("{what} is that of camera {name}, too: each needs its own");
        match (&self.source, &other.source) {
            (Source::Camera(own), Source::Camera(theirs))
                if same_device(own.device.get_ref(), theirs.device.get_ref()) =>
            {
                let what = format!("source.camera.device = {}", own.device.get_ref());
                Some(self.error_at(&own.device, problem(what)))
            }
            (Source::Libcamera(own), Source::Libcamera(theirs)) if own.camera.get_ref() == theirs.camera.get_ref() => {
                let what = format!("source.libcamera.camera = {}", own.camera.get_ref());
                Some(self.error_at(&own.camera, problem(what)))
            }
            (Source::Folder(own), Source::Folder(theirs)) => {
                let is_drop = |folder: &FolderConfig| folder.watch && folder.after.is_some();
                let is_same = absolute(own.path.get_ref()) == absolute(theirs.path.get_ref());
                let after = own.after.as_ref().or(theirs.after.as_ref()).filter(|_| is_drop(own) || is_drop(theirs));
                let what =
                    format!("source.folder.path = {}, whose files are taken away,", own.path.get_ref().display());
                after.filter(|_| is_same).map(|after| self.error_at(after, problem(what)))
            }
            _ => None,
        }
    }
}

/// What holds for a camera: its own table, and what it does not state of the one above.
fn merged<'a>(top: &DeTable<'a>, own: DeTable<'a>) -> DeTable<'a> {
    let mut all = top.clone();
    for (key, value) in own {
        let value = match (all.remove(&**key.get_ref()).map(Spanned::into_inner), value) {
            (Some(DeValue::Table(above)), value) if value.get_ref().is_table() => {
                let span = value.span();
                let DeValue::Table(own) = value.into_inner() else { continue };
                Spanned::new(span, DeValue::Table(merged(&above, own)))
            }
            (_, value) => value,
        };
        all.insert(key, value);
    }
    all
}

fn table<'t, 'a>(of: &'t DeTable<'a>, name: &str) -> Option<&'t DeTable<'a>> {
    match of.get(name)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn take_name(own: &mut DeTable, at: usize, origin: &Origin) -> Result<Spanned<String>, ConfigError> {
    let Some(name) = own.remove("name") else {
        return Err(
            origin.error_at(at, "[[camera]]: name is missing: the word for it in records, topics and folders".into())
        );
    };
    let span = name.span();
    let refuse = |found: &str| {
        let problem = format!("camera.name {found}: letters a-z, digits, - and _ are wanted, {LONGEST} at most");
        Err(origin.error_at(span.start, problem))
    };
    let DeValue::String(name) = name.into_inner() else { return refuse("is no text") };
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_word) {
        return refuse(&format!("\"{name}\""));
    }
    if TAKEN.contains(&&*name) {
        return refuse(&format!("\"{name}\" is a folder among the results"));
    }
    Ok(Spanned::new(span, name.into_owned()))
}

fn refuse_at_the_top(top: &DeTable, origin: &Origin) -> Result<(), ConfigError> {
    if let Some((key, _)) = top.get_key_value("source") {
        let problem =
            "[source]: each [[camera]] has a source of its own: state it as [camera.source…] below its [[camera]]";
        return Err(origin.error_at(key.span().start, problem.into()));
    }
    Ok(())
}

fn refuse_in_a_camera(own: &DeTable, at: usize, origin: &Origin) -> Result<(), ConfigError> {
    if let Some((key, _)) = OF_THE_PROCESS.iter().find_map(|name| own.get_key_value(*name)) {
        let name = key.get_ref();
        let problem = format!("{name}: it holds for the whole process: state [{name}] at the top of the file");
        return Err(origin.error_at(key.span().start, problem));
    }
    if !own.contains_key("source") {
        let problem = "it has no source: state one below its [[camera]], as [camera.source.camera] with device";
        return Err(origin.error_at(at, problem.into()));
    }
    Ok(())
}

/// An address at the top is that of the first camera; each that follows has the next port.
fn next_port(listen: &mut Spanned<SocketAddr>, place: usize, table: &str, origin: &Origin) -> Result<(), ConfigError> {
    let (span, mut address) = (listen.span(), *listen.get_ref());
    if address.port() == 0 {
        return Ok(());
    }
    let port = u16::try_from(place).ok().and_then(|place| address.port().checked_add(place));
    let Some(port) = port else {
        let problem = format!("{table}.listen = {address}: camera {} has no port after it", place + 1);
        return Err(origin.error_at(span.start, problem));
    };
    address.set_port(port);
    *listen = Spanned::new(span, address);
    Ok(())
}

/// A path from the root, without `.` components, whether it is there or not.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into())
}

/// Whether two servers cannot listen at the same time.
fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_any || one.ip() == other.ip())
}

#[cfg(test)]
#[path = "cameras_tests.rs"]
mod tests;
