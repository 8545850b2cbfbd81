//! Certificates for servers that speak TLS: made for one test, trusted by nobody else.

use std::path::PathBuf;

#[cfg(feature = "certificates")]
pub use made::Certificates;

/// Files for TLS, in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate, with those between it and the authority's.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that signs the certificates of clients.
    pub authority: PathBuf,
    /// Whether a client has to show a certificate. Redis asks for it; PostgreSQL only verifies one that is shown.
    pub clients_too: bool,
}

#[cfg(feature = "certificates")]
mod made {
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::PathBuf;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    };

    use super::Tls;
    use crate::error::Error;
    use crate::place::{Home, Place};

    /// An authority with one certificate for servers, valid for `localhost` and `127.0.0.1`, and one for clients. The files
    /// go when this is dropped. A second one knows nothing of the first: for tests of whom a client must not trust.
    #[derive(Debug)]
    pub struct Certificates {
        home: Home,
    }

    impl Certificates {
        /// Makes all of them.
        ///
        /// # Errors
        ///
        /// When the files can't be written.
        pub fn make() -> Result<Self, Error> {
            Self::make_at(&Place::of_this_build())
        }

        /// Makes all of them at a place.
        ///
        /// # Errors
        ///
        /// When the files can't be written.
        pub fn make_at(place: &Place) -> Result<Self, Error> {
            let made = Self { home: place.private("certificates")? };
            let odd = |error| Error::failed(format!("a certificate for tests could not be made: {error}"));
            let mut authority = CertificateParams::new([]).map_err(odd)?;
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            authority.distinguished_name.push(DnType::CommonName, "an authority of tests");
            let key = KeyPair::generate().map_err(odd)?;
            made.write("authority.crt", &authority.self_signed(&key).map_err(odd)?.pem())?;
            let issuer = Issuer::new(authority, key);
            for (name, usage) in
                [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
            {
                let names = ["localhost", "127.0.0.1"].map(str::to_owned);
                let mut params = CertificateParams::new(names).map_err(odd)?;
                params.extended_key_usages = vec![usage];
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                params.distinguished_name.push(DnType::CommonName, name);
                let key = KeyPair::generate().map_err(odd)?;
                made.write(&format!("{name}.crt"), &params.signed_by(&key, &issuer).map_err(odd)?.pem())?;
                made.write(&format!("{name}.key"), &key.serialize_pem())?;
            }
            Ok(made)
        }

        /// What a server needs.
        pub fn server(&self) -> Tls {
            let [certificate, key] = ["server.crt", "server.key"].map(|name| self.file(name));
            Tls { certificate, key, authority: self.authority(), clients_too: false }
        }

        /// The authority's certificate, which a client trusts.
        pub fn authority(&self) -> PathBuf {
            self.file("authority.crt")
        }

        /// The certificate that a client shows, where the server asks for one.
        pub fn client_certificate(&self) -> PathBuf {
            self.file("client.crt")
        }

        /// The key of that.
        pub fn client_key(&self) -> PathBuf {
            self.file("client.key")
        }

        fn file(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }

        fn write(&self, name: &str, pem: &str) -> Result<(), Error> {
            use std::io::Write as _;
            let path = self.file(name);
            let opened = std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&path);
            opened.and_then(|mut file| file.write_all(pem.as_bytes())).map_err(Error::at(&path))
        }
    }
}
