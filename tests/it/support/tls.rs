//! Certificates for tests: an authority and what it issues.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority of one test, with its certificate in a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM of the authority's certificate.
    pub certificate: PathBuf,
    dir: PathBuf,
}

/// A certificate and its key, as PEM files.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Makes one and writes `NAME.crt` into `dir`.
    pub fn new(dir: &Path, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.self_signed(&key).unwrap();
        let certificate = dir.join(format!("{name}.crt"));
        std::fs::write(&certificate, cert.pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), certificate, dir: dir.to_owned() }
    }

    /// Issues a certificate for these host names and addresses and writes `NAME.crt` and `NAME.key`.
    pub fn issue(&self, name: &str, hosts: &[&str]) -> Issued {
        self.issue_with(name, hosts, |_| ())
    }

    /// As [`Authority::issue`], of yesteryear.
    pub fn issue_expired(&self, name: &str, hosts: &[&str]) -> Issued {
        self.issue_with(name, hosts, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
    }

    /// As [`Authority::issue`], for so many days from today.
    pub fn issue_until(&self, name: &str, hosts: &[&str], days: u64) -> Issued {
        let end = SystemTime::now() + Duration::from_secs(days * 86_400);
        self.issue_with(name, hosts, |params| params.not_after = end.into())
    }

    fn issue_with(&self, name: &str, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let issued =
            Issued { certificate: self.dir.join(format!("{name}.crt")), key: self.dir.join(format!("{name}.key")) };
        std::fs::write(&issued.certificate, cert.pem()).unwrap();
        write_private(&issued.key, &key.serialize_pem());
        issued
    }
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
