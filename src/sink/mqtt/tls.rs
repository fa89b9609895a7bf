//! TLS configuration: the trusted certificate authorities, and the client certificate.

use crate::files;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The file that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    /// The certificate authorities.
    Ca,
    /// The client certificate.
    Certificate,
    /// The key of the client certificate.
    Key,
}

/// Reads the PEM files: the trusted authorities, and, if the broker asks for one, a client certificate and its key.
///
/// # Errors
/// The file that is wrong, and why.
pub fn tls_config(ca: &Path, client: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, (TlsFile, String)> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(ca).map_err(|problem| (TlsFile::Ca, problem))? {
        // Some of a system's hundred may be of an unknown kind; an empty store is an error below.
        let _ = roots.add(authority);
    }
    if roots.is_empty() {
        let problem = "holds no certificate of an authority: a PEM file with BEGIN CERTIFICATE is needed";
        return Err((TlsFile::Ca, format!("{}: {problem}", ca.display())));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| (TlsFile::Ca, error.to_string()))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = client else { return Ok(Arc::new(config.with_no_client_auth())) };
    let chain = certificates(certificate).map_err(|problem| (TlsFile::Certificate, problem))?;
    if chain.is_empty() {
        return Err((TlsFile::Certificate, format!("{}: holds no certificate", certificate.display())));
    }
    let pem = files::read_secret(key, files::MAX_PEM).map_err(|error| format!("{}: {error}", key.display()));
    let secret = pem.and_then(|pem| PrivateKeyDer::from_pem_slice(&pem).map_err(|error| describe(key, &error)));
    let secret = secret.map_err(|problem| (TlsFile::Key, problem))?;
    let config = config.with_client_auth_cert(chain, secret);
    config.map(Arc::new).map_err(|error| (TlsFile::Key, format!("{}: {error}", key.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::read(path, files::MAX_PEM).map_err(|error| format!("{}: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| describe(path, &error))
}

fn describe(path: &Path, error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => format!("{}: {error}", path.display()),
        Error::NoItemsFound => format!("{}: holds no usable section: a PEM file is needed", path.display()),
        other => format!("{}: {other:?}: a PEM file is needed", path.display()),
    }
}
