use std::fmt;
use std::sync::Arc;

use pinchpoint_measure::Cause;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Dsn, SqlError, SslMode};

/// What TLS needs, made once and shared by all connections.
#[derive(Clone)]
pub struct TlsSetup {
    config: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for TlsSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSetup").field("used", &self.config.is_some()).finish()
    }
}

impl TlsSetup {
    /// Reads the trusted certificates where the DSN's mode checks them.
    pub fn new(dsn: &Dsn) -> Result<Self, SqlError> {
        if dsn.is_unix() || dsn.ssl_mode == SslMode::Disable {
            return Ok(Self { config: None });
        }
        let failed = |text: String| SqlError::new(Cause::Tls, text);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = match dsn.ssl_mode {
            SslMode::VerifyCa | SslMode::VerifyFull => true,
            SslMode::Require => dsn.ssl_root_cert.is_some(),
            SslMode::Prefer | SslMode::Disable => false,
        };
        let (chain, trusted) = if check {
            let (roots, trusted) = roots(dsn)?;
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|e| failed(format!("no certificate to trust: {e}")))?;
            (Some(verifier), trusted)
        } else {
            (None, Vec::new())
        };
        let by_name = dsn.ssl_mode == SslMode::VerifyFull;
        let verifier = Verifier { chain, trusted, by_name, provider: provider.clone() };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { config: Some(Arc::new(config)) })
    }

    pub(crate) async fn handshake(
        &self,
        tcp: TcpStream,
        dsn: &Dsn,
    ) -> Result<TlsStream<TcpStream>, SqlError> {
        let failed = |text: String| SqlError::new(Cause::Tls, text);
        let config = self.config.clone().ok_or_else(|| failed("TLS is not set up".to_owned()))?;
        let name = ServerName::try_from(dsn.host.clone()).map_err(|_| {
            failed(format!("{:?} is not a name that a certificate can have", dsn.host))
        })?;
        TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|e| failed(format!("the TLS handshake with {dsn} failed: {e}")))
    }
}

/// The authorities to trust, and the certificates that the user named.
fn roots(dsn: &Dsn) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), SqlError> {
    let failed = |text: String| SqlError::new(Cause::Tls, text);
    let (mut roots, mut named) = (RootCertStore::empty(), Vec::new());
    match &dsn.ssl_root_cert {
        Some(path) if path.as_os_str() != "system" => {
            let shown = path.display();
            let found = CertificateDer::pem_file_iter(path)
                .map_err(|e| failed(format!("sslrootcert {shown} cannot be read: {e}")))?;
            for certificate in found {
                let certificate =
                    certificate.map_err(|e| failed(format!("sslrootcert {shown}: {e}")))?;
                named.push(certificate.clone());
                roots.add(certificate).map_err(|e| failed(format!("sslrootcert {shown}: {e}")))?;
            }
        }
        _ => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
        }
    }
    Ok((roots, named))
}

/// libpq's levels of trust: none, the chain, or the chain and the name.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that the user named: one of them may be the server's own.
    trusted: Vec<CertificateDer<'static>>,
    by_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.trusted.iter().any(|t| t.as_ref() == end_entity.as_ref()) {
            if self.by_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verdict =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The name is looked at last, so the chain has been found good here.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.by_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
