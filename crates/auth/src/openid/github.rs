//! GitHub: OAuth 2.0 without a token that says who somebody is. With the access token its API is asked for the user, for the
//! address that the user has proved, and for organizations and teams.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

use super::login::{LoginSettings, NoLogin};
use super::site::Endpoints;
use super::web::Web;
use super::{InvalidProvider, ProviderDown};

/// How long all questions about one user may take together.
const ALTOGETHER: Duration = Duration::from_secs(12);
/// Of a list, so many at a time, and so many times at most.
const AT_ONCE: usize = 50;
const TIMES: usize = 20;
/// With any of these one is told of organizations and of teams.
const TELL_GROUPS: [&str; 4] = ["read:org", "write:org", "admin:org", "user"];

/// Pages of a GitHub of one's own (zot: `authurl` and `tokenurl`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubPages {
    /// Where a browser logs in.
    pub authorize: String,
    /// Where a code is taken.
    pub token: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct GitHub {
    name: String,
    pages: GitHubPages,
    /// Where its API is, without a slash at the end.
    api: String,
    web: Web,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

#[derive(Deserialize)]
struct Organization {
    login: String,
}

#[derive(Deserialize)]
struct Team {
    slug: String,
    organization: Organization,
}

impl GitHub {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// Where it could never be asked.
    pub(super) fn new(pages: Option<&GitHubPages>) -> Result<Self, InvalidProvider> {
        let usual = || GitHubPages {
            authorize: "https://github.com/login/oauth/authorize".to_owned(),
            token: "https://github.com/login/oauth/access_token".to_owned(),
        };
        let pages = pages.cloned().unwrap_or_else(usual);
        let (authorize, token) = (page(&pages.authorize)?, page(&pages.token)?);
        if authorize.scheme() == "https" && token.scheme() != "https" {
            return Err(InvalidProvider(format!("{:?} must be encrypted as the other page is", pages.token)));
        }
        let origin = authorize.origin().ascii_serialization();
        let api = match authorize.host_str().unwrap_or_default() {
            "github.com" => "https://api.github.com".to_owned(),
            // GitHub Enterprise Cloud under a name of its own.
            host if host.ends_with(".ghe.com") => format!("https://api.{host}"),
            // GitHub Enterprise Server.
            _ => format!("{origin}/api/v3"),
        };
        Ok(Self { name: format!("{origin}/login/oauth"), pages, api, web: Web::new(None)? })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn web(&self) -> &Web {
        &self.web
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        let GitHubPages { authorize, token } = self.pages.clone();
        Endpoints { page: authorize, token, secret_in_form: true }
    }

    /// What its API says of whose token it is, in the form of claims.
    pub(super) async fn claims(&self, settings: &LoginSettings, token: &str) -> Result<Map<String, Value>, NoLogin> {
        if token.is_empty() {
            return Err(ProviderDown(format!("{} gave no token for a code", self.pages.token)).into());
        }
        let slow = |_| ProviderDown(format!("{} did not say within {ALTOGETHER:?} who has logged in", self.api));
        tokio::time::timeout(ALTOGETHER, self.ask(settings, token)).await.map_err(slow)?
    }

    async fn ask(&self, settings: &LoginSettings, token: &str) -> Result<Map<String, Value>, NoLogin> {
        let (user, _): (User, _) = self.get("/user", token).await?;
        let mut claims = Map::new();
        // Its number stays a user's own; a login that was given up may be taken by somebody else.
        claims.insert("id".to_owned(), json!(user.id.to_string()));
        claims.insert("login".to_owned(), json!(user.login));
        if settings.claims.username == "email" {
            let addresses: Vec<Address> = self.list("/user/emails", token).await?;
            if let Some(proved) = addresses.into_iter().find(|address| address.primary && address.verified) {
                claims.insert("email".to_owned(), json!(proved.email));
            }
        }
        if settings.scopes.iter().any(|scope| TELL_GROUPS.contains(&scope.as_str())) {
            claims.insert("groups".to_owned(), json!(self.groups(token).await?));
        }
        Ok(claims)
    }

    /// Organizations by their names, and teams as `organization/team`.
    async fn groups(&self, token: &str) -> Result<Vec<String>, NoLogin> {
        let organizations: Vec<Organization> = self.list("/user/orgs", token).await?;
        let teams: Vec<Team> = self.list("/user/teams", token).await?;
        let teams = teams.iter().map(|team| format!("{}/{}", team.organization.login, team.slug));
        Ok(organizations.into_iter().map(|organization| organization.login).chain(teams).collect())
    }

    /// A list that comes in pages. The next one is counted and not taken from the answer: the token goes nowhere else.
    async fn list<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<Vec<T>, NoLogin> {
        let mut all = Vec::new();
        for page in 1..=TIMES {
            let path = format!("{path}?per_page={AT_ONCE}&page={page}");
            let (items, has_next): (Vec<T>, bool) = self.get(&path, token).await?;
            all.extend(items);
            if !has_next {
                return Ok(all);
            }
        }
        tracing::warn!(
            path,
            read = all.len(),
            "GitHub has more to tell of a user than is read: the rest does not count"
        );
        Ok(all)
    }

    /// A document of the API, and whether there is a next page.
    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<(T, bool), NoLogin> {
        let url = format!("{}{path}", self.api);
        let answer = self.web.ask(&url, Some(token)).await?;
        match answer.status {
            200 => {
                let document = serde_json::from_slice(&answer.body);
                let document = document.map_err(|error| ProviderDown(format!("{url}: {error}")))?;
                Ok((document, answer.has_next))
            }
            // So it answers where a scope was not asked for, or not granted.
            status @ (401 | 403 | 404) => {
                tracing::warn!(
                    url,
                    status,
                    "GitHub does not say who has logged in: scopes must have user:email for addresses, read:org for groups"
                );
                Err(NoLogin::Refused)
            }
            status => Err(ProviderDown(format!("{url} answered {status}")).into()),
        }
    }
}

fn page(text: &str) -> Result<Url, InvalidProvider> {
    let url: Option<Url> = text.parse().ok();
    let url = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
    url.ok_or_else(|| InvalidProvider(format!("{text:?} must be a URL of the web")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_api_is_where_its_pages_are() {
        let api = |host: &str| {
            let pages = GitHubPages {
                authorize: format!("{host}/login/oauth/authorize"),
                token: format!("{host}/login/oauth/access_token"),
            };
            GitHub::new(Some(&pages)).map(|github| github.api)
        };
        assert_eq!(GitHub::new(None).unwrap().api, "https://api.github.com");
        assert_eq!(api("https://github.com").unwrap(), "https://api.github.com");
        assert_eq!(api("https://acme.ghe.com").unwrap(), "https://api.acme.ghe.com");
        assert_eq!(api("https://git.example.org:8443").unwrap(), "https://git.example.org:8443/api/v3");
        assert!(api("ftp://git.example.org").is_err() && api("git.example.org").is_err());
        let plain = GitHubPages { authorize: "https://a.example/x".to_owned(), token: "http://a.example/y".to_owned() };
        assert!(GitHub::new(Some(&plain)).is_err(), "the secret would go in the clear");
    }
}
