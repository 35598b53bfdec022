//! A root key in AWS KMS: a symmetric key, bound to the service by its encryption context. Credentials that the settings
//! do not name are looked for where the AWS SDK looks: profile, web identity, container, instance.

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyState, KeyUsageType};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::crypto::secret::Key32;
use crate::keys::RootKeyFault;

use super::settings::AwsKms as Settings;
use super::{Binding, Kind, RootKey, exact, private_address, told};

/// Name of the entry in the encryption context, to be used in conditions of key policies.
const CONTEXT: &str = "columnseal:service";
/// For one connection.
const CONNECT: Duration = Duration::from_secs(3);
/// For one call with its repetitions.
const CALL: Duration = Duration::from_secs(20);

/// A key, by its ARN, id or alias.
pub(super) struct AwsKms(Settings);

impl AwsKms {
    pub(super) fn new(settings: &Settings) -> Result<Self, RootKeyFault> {
        if let Some(endpoint) = &settings.endpoint {
            private_address(endpoint)?;
        }
        Ok(Self(settings.clone()))
    }

    /// A client on this call's own runtime: no thread of it remains, and callers may be on a runtime or not.
    fn call<T: Send>(
        &self,
        work: impl AsyncFn(&Client, &str) -> Result<T, RootKeyFault> + Sync,
    ) -> Result<T, RootKeyFault> {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| RootKeyFault::Unreachable(e.to_string()))?;
            runtime.block_on(async {
                let client = self.client().await?;
                self.check(&client).await?;
                work(&client, &self.0.key).await
            })
        };
        let ended = || RootKeyFault::Unreachable("the call ended without an answer".to_owned());
        std::thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|_| Err(ended())))
    }

    async fn client(&self) -> Result<Client, RootKeyFault> {
        let mut timeouts = TimeoutConfig::builder();
        timeouts.set_connect_timeout(Some(CONNECT)).set_operation_timeout(Some(CALL));
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts.build());
        if let Some(region) = self.0.region.clone().or_else(|| region_of(&self.0.key)) {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = &self.0.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(given) = &self.0.credentials {
            let secret = given.secret.expose_secret();
            let session = given.session.as_ref().map(|session| session.expose_secret().to_owned());
            loader = loader.credentials_provider(Credentials::new(&given.id, secret, session, None, "settings"));
        }
        let config = loader.load().await;
        if config.region().is_none() {
            let what = "no AWS region is known: set AWS_REGION, or name the key by its ARN";
            return Err(RootKeyFault::Missing(what.to_owned()));
        }
        Ok(Client::new(&config))
    }

    /// Tells early what is wrong with the key. The right to describe it is not needed.
    async fn check(&self, client: &Client) -> Result<(), RootKeyFault> {
        let described = match client.describe_key().key_id(&self.0.key).send().await.map_err(fault) {
            Ok(described) => described,
            Err(RootKeyFault::Denied(_)) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let Some(key) = described.key_metadata() else { return Ok(()) };
        match key.key_state() {
            None | Some(KeyState::Enabled) => {}
            Some(state) => return Err(RootKeyFault::Disabled(format!("its state is {}", told(state.as_str())))),
        }
        let symmetric = key.key_spec().is_none_or(|spec| *spec == KeySpec::SymmetricDefault);
        if symmetric && key.key_usage().is_none_or(|usage| *usage == KeyUsageType::EncryptDecrypt) {
            return Ok(());
        }
        Err(RootKeyFault::Malformed("it is no symmetric key for encrypting and decrypting".to_owned()))
    }
}

impl RootKey for AwsKms {
    fn kind(&self) -> Kind {
        Kind::AwsKms
    }

    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        self.call(async |client, id| {
            let request = client.encrypt().key_id(id).encryption_context(CONTEXT, binding.text());
            let answer = request.plaintext(Blob::new(*key.as_bytes())).send().await.map_err(fault)?;
            let wrapped = answer.ciphertext_blob().map(|blob| blob.as_ref().to_vec());
            wrapped.ok_or_else(|| RootKeyFault::BadAnswer("Encrypt gave no ciphertext".to_owned()))
        })
    }

    fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault> {
        self.call(async |client, id| {
            let request = client.decrypt().key_id(id).encryption_context(CONTEXT, binding.text());
            let answer = request.ciphertext_blob(Blob::new(wrapped)).send().await.map_err(fault)?;
            let bytes = answer.plaintext.map(|blob| Zeroizing::new(blob.into_inner()));
            exact(&bytes.ok_or_else(|| RootKeyFault::BadAnswer("Decrypt gave no plaintext".to_owned()))?)
        })
    }
}

/// The region in an ARN.
fn region_of(key: &str) -> Option<String> {
    let region = key.strip_prefix("arn:")?.split(':').nth(2)?;
    (!region.is_empty()).then(|| region.to_owned())
}

/// What an error of the SDK means.
fn fault<E>(error: SdkError<E>) -> RootKeyFault
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let SdkError::ServiceError(service) = &error {
        let code = service.err().code().unwrap_or("an error without a name");
        let why = told(&format!("{code}: {}", service.err().message().unwrap_or_default()));
        return match code {
            "NotFoundException" => RootKeyFault::Missing(why),
            "DisabledException" | "KMSInvalidStateException" | "KeyUnavailableException" => RootKeyFault::Disabled(why),
            "InvalidCiphertextException" | "IncorrectKeyException" => RootKeyFault::Wrong,
            "InvalidKeyUsageException" | "InvalidArnException" | "ValidationException" => RootKeyFault::Malformed(why),
            _ if service.raw().status().as_u16() >= 500
                || code.contains("Throttl")
                || code == "LimitExceededException" =>
            {
                RootKeyFault::Unreachable(why)
            }
            _ => RootKeyFault::Denied(why),
        };
    }
    let credentials = matches!(&error, SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_));
    let why = chain(&error);
    match error {
        _ if credentials && why.contains("redentials") => RootKeyFault::Denied(why),
        SdkError::ResponseError(_) => RootKeyFault::BadAnswer(why),
        _ => RootKeyFault::Unreachable(why),
    }
}

/// An error and what caused it, on one line.
fn chain(error: &dyn StdError) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        next = cause.source();
    }
    told(&parts.join(": "))
}
