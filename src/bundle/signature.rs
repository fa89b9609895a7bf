//! Signatures of bundles, in minisign's form (<https://jedisct1.github.io/minisign/>): `bundle.sig` signs `bundle.toml`, which holds the
//! SHA-256 of every other file.

use super::error::BundleError;
use super::folder::Bundle;
use super::signature_file::{SIGNATURE, read_signature};
use crate::files;
use ct_codecs::{Base64, Decoder};
use minisign_verify::{Error, PublicKey, Signature};
use std::fmt;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

/// The ending of the files of public keys.
const PUBLIC: &str = "pub";
/// How a secret key with a password begins: the algorithms Ed25519 and scrypt, in base64.
const WITH_PASSWORD: &str = "RWRTY";
/// Bytes of a secret key, and where its checksum is among them.
const KEY_BYTES: usize = 158;
const CHECKSUM_AT: usize = 126;
/// The most bytes of a public key's file.
const MAX_KEY: u64 = 1 << 12;

/// The public keys of a board: each `*.pub` of a folder, by the file's name.
pub struct KeyRing {
    folder: PathBuf,
    keys: Vec<(String, PublicKey)>,
}

/// Who signed a bundle.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "signature", content = "key", rename_all = "lowercase")]
pub enum Signer {
    /// Whoever has the secret key to this public key.
    Known(String),
    /// Somebody whose public key is not on this board: as good as nobody.
    Unknown,
    /// Nobody.
    Unsigned,
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::Known(key) => write!(f, "signed by {key}"),
            Signer::Unknown => write!(f, "signed by an unknown key"),
            Signer::Unsigned => write!(f, "unsigned"),
        }
    }
}

impl KeyRing {
    /// Reads the keys of a folder; one that is not there has none.
    ///
    /// # Errors
    /// [`BundleError::Bad`] for a file that is no public key, or cannot be read.
    pub fn read(folder: &Path) -> Result<KeyRing, BundleError> {
        let mut keys = Vec::new();
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            entries => Some(entries.map_err(|error| BundleError::bad(folder, error))?),
        };
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(|error| BundleError::bad(folder, error))?.path();
            if path.extension().is_none_or(|ending| ending != PUBLIC) {
                continue;
            }
            let text = files::read_text(&path, MAX_KEY).map_err(|error| BundleError::bad(&path, error))?;
            let key = PublicKey::decode(&text)
                .map_err(|_| BundleError::bad(&path, "is no public key of minisign: its second line begins with RW"))?;
            let name = path.file_stem().map(|name| name.display().to_string()).unwrap_or_default();
            keys.push((name, key));
        }
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(KeyRing { folder: folder.to_path_buf(), keys })
    }

    /// Who signed a bundle.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where the signature is damaged, or is not of this `bundle.toml`.
    pub fn signer(&self, bundle: &Bundle) -> Result<Signer, BundleError> {
        let Some(bytes) = read_signature(bundle.folder())? else { return Ok(Signer::Unsigned) };
        let text = String::from_utf8(bytes).ok();
        let signature = text.and_then(|text| Signature::decode(&text).ok());
        let signature =
            signature.ok_or_else(|| bundle.blame(SIGNATURE, "is no signature of minisign: sign it again"))?;
        let signed = bundle.manifest_bytes()?;
        for (name, key) in &self.keys {
            match key.verify(&signed, &signature, true) {
                Ok(()) => return Ok(Signer::Known(name.clone())),
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => {
                    let problem = format!(
                        "wrong signature: the key {name} did not sign this bundle.toml; it was changed after it was signed, or the \
                         signature is another bundle's"
                    );
                    return Err(bundle.blame(SIGNATURE, problem));
                }
            }
        }
        Ok(Signer::Unknown)
    }

    /// Who signed a bundle, which must be somebody whose key is here.
    ///
    /// # Errors
    /// As [`KeyRing::signer`], or where nobody known signed it.
    pub fn require(&self, bundle: &Bundle) -> Result<Signer, BundleError> {
        let signer = self.signer(bundle)?;
        let folder = self.folder.display();
        let problem = match &signer {
            Signer::Known(_) => return Ok(signer),
            Signer::Unknown => format!(
                "signed by a key that is not in {folder}, and bundles.require_signature is set: put the public key there if you \
                 trust it"
            ),
            Signer::Unsigned => {
                "no such file, and bundles.require_signature is set: sign the bundle (lineside bundle sign) with a \
                                 key of this board"
                    .into()
            }
        };
        Err(bundle.blame(SIGNATURE, problem))
    }
}

/// The signature of a bundle by a secret key of minisign, of which `secret` is the file's text: the text of `bundle.sig`. Where the key
/// has a password, that is asked for at the terminal.
///
/// # Errors
/// What is wrong with the key, in words.
pub fn sign(bundle: &Bundle, secret: &str) -> Result<String, SigningError> {
    let words = |error: minisign::PError| SigningError(error.to_string());
    let key = minisign::SecretKeyBox::from_string(secret).map_err(words)?;
    let line = secret.lines().nth(1).unwrap_or_default();
    let key = match unchecked(line) {
        Some(key) => key,
        None if line.starts_with(WITH_PASSWORD) => key.into_secret_key(None),
        None => key.into_unencrypted_secret_key(),
    };
    let key =
        key.map_err(|error| SigningError(format!("is no secret key of minisign, or not a whole one: {error}")))?;
    let manifest = bundle.manifest();
    // One line, which is signed, too.
    let comment =
        format!("{} {} {}", manifest.name, manifest.version, bundle.fingerprint()).replace(char::is_control, " ");
    let signed = bundle.manifest_bytes().map_err(|error| SigningError(error.to_string()))?;
    let public = minisign::PublicKey::from_secret_key(&key).map_err(words)?;
    let signature = minisign::sign(Some(&public), &key, Cursor::new(signed), Some(&comment), None).map_err(words)?;
    Ok(signature.into_string())
}

/// A key without a password as the tool minisign writes it: without a checksum either, which the crate asks for. That it is whole
/// shows when its signature is verified with its public half.
fn unchecked(line: &str) -> Option<Result<minisign::SecretKey, minisign::PError>> {
    let bytes = Base64::decode_to_vec(line.trim_end(), None).ok()?;
    let has_no_checksum = bytes.len() == KEY_BYTES && bytes[CHECKSUM_AT..].iter().all(|byte| *byte == 0);
    has_no_checksum.then(|| minisign::SecretKey::from_bytes(&bytes))
}

/// Why a bundle cannot be signed with a key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SigningError(String);
