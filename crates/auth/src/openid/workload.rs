//! Workload identity: a job shows the token that its platform (a CI service, Kubernetes) has signed for it, in place of a password.

use std::sync::Arc;

use jsonwebtoken::dangerous::insecure_decode_claims;
use serde::Deserialize;

use super::InvalidProvider;
use super::mapping::{ClaimMapping, InvalidMapping, Mapping};
use super::provider::{Provider, Unverified};
use crate::access::Unknown;
use crate::caller::{Caller, Limit, User, Via};
use crate::token::header;

/// One provider of such tokens (zot: an item of `bearer.oidc`).
#[derive(Clone, Debug, Default)]
pub struct WorkloadSettings {
    /// Its URL, which is its name in tokens.
    pub issuer: String,
    /// For whom a token must be; any of these.
    pub audiences: Vec<String>,
    /// Who a token is of.
    pub mapping: ClaimMapping,
    /// Certificates (PEM) that are believed in place of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Believe tokens of its keys whatever they call their issuer.
    pub skip_issuer: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Workloads(Vec<Workload>);

#[derive(Debug)]
struct Workload {
    provider: Arc<Provider>,
    audiences: Vec<String>,
    mapping: Mapping,
}

/// What is believed of a token before its signature: which provider to ask.
#[derive(Clone, Deserialize)]
struct Unproved {
    iss: String,
}

/// When a token ends.
#[derive(Deserialize)]
struct End {
    exp: f64,
}

impl Workloads {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// Where a provider could never be asked.
    pub fn new(settings: &[WorkloadSettings]) -> Result<Self, InvalidProvider> {
        settings.iter().map(Workload::new).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the expressions of a mapping can be used.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn check(mapping: &ClaimMapping) -> Result<(), InvalidMapping> {
        Mapping::new(mapping).map(drop)
    }

    #[cfg(test)]
    pub(crate) fn pass(&self, seconds: u64) {
        for workload in &self.0 {
            workload.provider.ahead.fetch_add(seconds, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Whether a text has the form of a token.
    pub(crate) fn looks_like_one(text: &[u8]) -> bool {
        text.starts_with(b"eyJ") && text.iter().filter(|b| **b == b'.').count() == 2
    }

    /// Who shows a token; `None` where it is of none of these providers.
    pub(crate) async fn verify(&self, token: &str) -> Result<Option<Caller>, Unknown> {
        // Too long a token is read no further than this.
        header(token)?;
        let Ok(Unproved { iss }) = insecure_decode_claims(token) else { return Err(Unknown::Invalid) };
        let mut why = None;
        // One provider may be there more than once, for several audiences.
        for workload in self.0.iter().filter(|workload| workload.provider.may_be(&iss)) {
            match workload.verify(token).await {
                Ok(caller) => return Ok(Some(caller)),
                Err(error) => why = Some(worse(why, error)),
            }
        }
        why.map_or(Ok(None), Err)
    }
}

/// Of two reasons the one that tells more.
fn worse(one: Option<Unknown>, other: Unknown) -> Unknown {
    match (one, other) {
        (Some(one), Unknown::Invalid) => one,
        (_, other) => other,
    }
}

impl Workload {
    fn new(settings: &WorkloadSettings) -> Result<Self, InvalidProvider> {
        let authorities = settings.authorities.as_deref();
        Ok(Self {
            provider: Provider::new(&settings.issuer, settings.skip_issuer, authorities)?,
            audiences: settings.audiences.clone(),
            mapping: Mapping::new(&settings.mapping).map_err(|why| InvalidProvider(why.to_string()))?,
        })
    }

    async fn verify(&self, token: &str) -> Result<Caller, Unknown> {
        let claims = self.provider.verify(token, &self.audiences).await.map_err(|why| match why {
            Unverified::Bad(why) => why.into(),
            Unverified::Down(why) => Unknown::Down(why.into()),
        })?;
        let (name, groups) = self.mapping.apply(&claims).map_err(|why| Unknown::Refused(why.to_string()))?;
        let ends = serde_json::from_value::<End>(claims.clone().into()).map_err(|_| Unknown::Invalid)?.exp;
        // A number that no clock reaches is cut to the largest.
        let via = Via::Workload { ends: ends as u64 };
        let user = User { name: name.as_str().into(), groups, claims: Some(Arc::new(claims)), via };
        Ok(Caller { user: Some(user), limit: Limit::None })
    }
}
