//! The files that hold a secret: the page's token, the broker's password, the key of a client certificate.

use super::status_page::token_problem;
use super::{Config, ConfigError, Source};
use crate::files;
use crate::source::process::has_password;
use std::path::{Path, PathBuf};
use toml::Spanned;

impl Config {
    /// The token that a visitor of the status page needs, if any.
    ///
    /// # Errors
    /// [`ConfigError`] where its file cannot be read, is open to other users, or has no valid token.
    pub fn page_token(&self) -> Result<Option<String>, ConfigError> {
        let Some(page) = &self.status_page else { return Ok(None) };
        self.token(page.token.as_ref(), page.token_file.as_ref())
    }

    /// The token that whoever changes something from outside needs, if any.
    ///
    /// # Errors
    /// As [`Config::page_token`], and where it is the same token.
    pub fn teach_token(&self) -> Result<Option<String>, ConfigError> {
        let Some(page) = &self.status_page else { return Ok(None) };
        let token = self.token(page.teach_token.as_ref(), page.teach_token_file.as_ref())?;
        // Two in the configuration are compared where it is read; here at least one is in a file.
        match page.teach_token_file.as_ref().or(page.token_file.as_ref()) {
            Some(file) if token.is_some() && token == self.page_token()? => Err(self.blame(
                file,
                "holds a token that is both status_page.token and teach_token: whoever may look could change, too",
            )),
            _ => Ok(token),
        }
    }

    fn token(
        &self,
        token: Option<&Spanned<String>>,
        file: Option<&Spanned<PathBuf>>,
    ) -> Result<Option<String>, ConfigError> {
        let Some(file) = file else { return Ok(token.map(|token| token.get_ref().clone())) };
        let text = self.secret(file)?;
        let token = text.lines().next().unwrap_or_default().trim();
        match token_problem(token) {
            Some(problem) => Err(self.blame(file, &format!("the first line {problem}"))),
            None => Ok(Some(token.into())),
        }
    }

    /// The password for the broker, if any.
    ///
    /// # Errors
    /// [`ConfigError`] where its file cannot be read, is open to other users, or holds no password.
    pub fn broker_password(&self) -> Result<Option<String>, ConfigError> {
        let Some(file) = self.mqtt.as_ref().and_then(|mqtt| mqtt.password_file.as_ref()) else { return Ok(None) };
        let password = self.secret(file)?.trim_end_matches(['\n', '\r']).to_string();
        let usable = !password.is_empty() && password.len() <= usize::from(u16::MAX);
        usable.then_some(Some(password)).ok_or_else(|| self.blame(file, "holds no password"))
    }

    /// User and password from the first line of a file, `user:password`.
    ///
    /// # Errors
    /// [`ConfigError`] where it cannot be read, is open to other users, or holds none.
    pub(super) fn user_and_password(&self, file: &Spanned<PathBuf>) -> Result<(String, String), ConfigError> {
        let text = self.secret(file)?;
        let line = text.lines().next().unwrap_or_default().trim_end_matches('\r');
        let usable = line.split_once(':').filter(|(user, _)| !user.is_empty() && !line.contains(char::is_control));
        let (user, password) = usable.ok_or_else(|| self.blame(file, "the first line is not user:password"))?;
        Ok((user.into(), password.into()))
    }

    /// Reads every secret, so that a reload is refused before the run with the old ones ends.
    ///
    /// # Errors
    /// [`ConfigError`] of the first that is not usable.
    pub fn check_secrets(&self) -> Result<(), ConfigError> {
        self.page_token()?;
        self.teach_token()?;
        self.broker_password()?;
        if let Source::Rtsp(section) = &self.source {
            section.options(self)?;
        }
        let page = self.status_page.as_ref().and_then(|page| page.tls.as_ref());
        if let Some(page) = page {
            let key = &page.key;
            files::read_secret(key.get_ref(), files::MAX_PEM).map_err(|error| self.blame(key, &error.to_string()))?;
        }
        let tls = self.mqtt.as_ref().and_then(|mqtt| mqtt.tls.as_ref());
        if let Some(key) = tls.and_then(|tls| tls.key.as_ref()) {
            files::read_secret(key.get_ref(), files::MAX_PEM).map_err(|error| self.blame(key, &error.to_string()))?;
        }
        Ok(())
    }

    /// Where the file at `path`, which this configuration was read from, has the page's token and other users may read it: what to
    /// do.
    pub fn exposed_token(&self, path: &Path) -> Option<String> {
        self.status_page.as_ref().and_then(|page| page.token.as_ref().or(page.teach_token.as_ref()))?;
        let path = files::is_readable_by_others(path).then(|| files::shell_word(path))?;
        Some(format!(
            "other users can read the token: use status_page.token_file (teach_token_file), or chmod o= {path}"
        ))
    }

    /// The same of a password in the address of a camera.
    pub fn exposed_password(&self, path: &Path) -> Option<String> {
        let Source::Rtsp(section) = &self.source else { return None };
        let is_exposed = has_password(section.url.get_ref()) && files::is_readable_by_others(path);
        let path = is_exposed.then(|| files::shell_word(path))?;
        Some(format!(
            "other users can read the camera's password: use source.rtsp.credentials_file, or chmod o= {path}"
        ))
    }

    fn secret(&self, file: &Spanned<PathBuf>) -> Result<String, ConfigError> {
        files::read_secret_text(file.get_ref(), files::MAX_SECRET).map_err(|error| self.blame(file, &error.to_string()))
    }

    fn blame(&self, file: &Spanned<PathBuf>, problem: &str) -> ConfigError {
        self.error_at(file, format!("{}: {problem}", file.get_ref().display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn parse(more: &str) -> Config {
        Config::parse(&format!("[source.pattern]\n{more}"), Path::new("line.toml")).unwrap()
    }

    fn write(path: &Path, secret: &str, mode: u32) {
        std::fs::write(path, secret).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_token_may_stand_in_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let config = parse(&format!("[status_page]\nlisten = \"0.0.0.0:80\"\ntoken_file = {path:?}\n"));
        let refusal = || config.page_token().unwrap_err().to_string();
        assert!(refusal().starts_with("line.toml:4: ") && refusal().contains("No such file"), "{}", refusal());
        write(&path, "short\n", 0o600);
        assert!(refusal().contains("the first line must have 16 to 128"), "{}", refusal());
        write(&path, "0123456789abcdef\nmore\n", 0o600);
        assert_eq!(config.page_token().unwrap().unwrap(), "0123456789abcdef");
    }

    #[test]
    fn no_secret_is_taken_from_a_file_that_is_open_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let mut sections = vec![format!("[status_page]\ntoken_file = {path:?}\n")];
        if cfg!(feature = "mqtt") {
            sections.push(format!("[mqtt]\nhost = \"b\"\nusername = \"u\"\npassword_file = {path:?}\n"));
            sections.push(format!("[mqtt]\nhost = \"b\"\n[mqtt.tls]\ncertificate = \"c\"\nkey = {path:?}\n"));
        }
        for section in sections {
            let config = parse(&section);
            for (mode, usable) in [(0o644, false), (0o604, false), (0o660, false), (0o600, true), (0o640, true)] {
                write(&path, "0123456789abcdef\n", mode);
                match config.check_secrets() {
                    Ok(()) => assert!(usable, "{section} {mode:o}"),
                    Err(error) => {
                        let expected = format!("mode {mode:04o} opens it to other users: chmod g-w,o= ");
                        assert!(!usable && error.to_string().contains(&expected), "{section} {mode:o}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_token_in_a_configuration_that_others_can_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line.toml");
        write(&path, "", 0o644);
        let with_token = parse("[status_page]\ntoken = \"0123456789abcdef\"\n");
        assert!(with_token.exposed_token(&path).unwrap().contains("chmod o= /"));
        assert_eq!(parse("[status_page]\n").exposed_token(&path), None);
        write(&path, "", 0o640);
        assert_eq!(with_token.exposed_token(&path), None);
    }
}
