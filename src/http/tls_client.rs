//! The client's side of TLS, for the verbs that ask a daemon. Blocking: a command line has time.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Which authorities are trusted to sign a daemon's certificate.
#[derive(Debug, Clone)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Trusts the authorities that this machine trusts (or those that `SSL_CERT_FILE` names).
    ///
    /// # Errors
    /// In words: where there is none.
    pub fn trusting_this_machine() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found
                .errors
                .first()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            return Err(format!(
                "this machine trusts no authority{why}; name one with `--ca FILE`"
            ));
        }
        Self::new(roots)
    }

    /// Trusts the authorities in a PEM text, and no other.
    ///
    /// # Errors
    /// In words: where one cannot be read, or there is none.
    pub fn trust_roots(pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let unreadable = |error: &dyn std::fmt::Display| {
                format!("the certificate of the authority cannot be read: {error}")
            };
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err("the file has no certificate".to_owned());
        }
        Self::new(roots)
    }

    fn new(roots: RootCertStore) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// TLS over a connection. The handshake happens at the first write.
    ///
    /// # Errors
    /// In words: where the name is none that a certificate could have.
    pub fn open_connection(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> Result<impl io::Read + io::Write + use<>, String> {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("`{name}` is no name that a certificate could have"))?;
        let connection = ClientConnection::new(Arc::clone(&self.0), server)
            .map_err(|error| format!("TLS cannot be used: {error}"))?;
        Ok(StreamOwned::new(connection, stream))
    }
}
