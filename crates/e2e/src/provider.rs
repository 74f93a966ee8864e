//! A provider of OpenID Connect on loopback: the package oidc-provider, with its own pages, and a browser that goes through them.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

/// What it calls the registry, and the secret between them.
pub const CLIENT: &str = "wharf";
/// See there.
pub const CLIENT_SECRET: &str = "s3cret-of-the-client";
/// A job that gets tokens for itself, and its secret.
pub const JOB: &str = "job";
/// See there.
pub const JOB_SECRET: &str = "s3cret-of-the-job";
/// For whom the tokens of the job are.
pub const AUDIENCE: &str = "urn:registry";

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    process: Process,
    port: Port,
}

impl Provider {
    /// Starts it with these users (name and group), who come back to this address of the registry.
    pub async fn start(lab: &Lab, redirect: &str, users: &[(&str, &str)]) -> Self {
        let library = tools::root().join(".cache/npm/node_modules/oidc-provider/lib/index.js");
        assert!(library.is_file(), "oidc-provider is not installed: run tools/setup");
        let port = Port::claim();
        let users: BTreeMap<_, _> = users
            .iter()
            .map(|(name, group)| (*name, json!({ "email": format!("{name}@example.org"), "groups": [group] })))
            .collect();
        let settings = json!({ "port": port.number(), "redirect": redirect, "users": users });
        let settings = lab.file("provider.json", &settings.to_string());
        let mut command = Command::new(tools::find("node"));
        command.arg(tools::root().join("crates/e2e/provider/provider.mjs")).arg(library).arg(settings);
        let mut provider = Self { process: Process::start("provider", &command, &lab.log("provider")), port };
        wait::until("the provider listens", wait::START, async || {
            provider.process.assert_alive();
            tokio::net::TcpStream::connect(provider.port.address()).await.is_ok()
        })
        .await;
        provider
    }

    /// Its URL, which is its name.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// A token of the job, for this audience.
    pub async fn job_token(&self, audience: &str) -> String {
        let form = format!("grant_type=client_credentials&resource={audience}");
        let request = reqwest::Client::new().post(format!("{}/token", self.issuer()));
        let request =
            request.basic_auth(JOB, Some(JOB_SECRET)).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap_or_else(|error| panic!("the provider: {error}"));
        let text = answer.text().await.unwrap_or_default();
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        document["access_token"].as_str().unwrap_or_else(|| panic!("{document}")).to_owned()
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// A browser with the cookies of its sites: it follows nothing by itself.
#[derive(Clone, Debug)]
pub struct Browser {
    http: reqwest::Client,
    /// By site and name.
    cookies: BTreeMap<(String, String), String>,
}

impl Default for Browser {
    fn default() -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(60)).build();
        Self { http: http.unwrap_or_else(|error| panic!("HTTP client: {error}")), cookies: BTreeMap::new() }
    }
}

impl Browser {
    /// Asks for a page of a site. All replicas are one site to it.
    pub async fn ask(&mut self, method: Method, site: &str, url: &str, form: Option<&str>) -> Response {
        let mut request = self.http.request(method, url);
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let answer = self.with_cookies(site, request).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        self.keep(site, &answer);
        answer
    }

    /// A request with the cookies of a site.
    pub fn with_cookies(&self, site: &str, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let ours = self.cookies.iter().filter(|((of, _), _)| of == site);
        let line: Vec<_> = ours.map(|((_, name), value)| format!("{name}={value}")).collect();
        request.header(COOKIE, line.join("; "))
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, site: &str, name: &str) -> Option<&str> {
        self.cookies.get(&(site.to_owned(), name.to_owned())).map(String::as_str)
    }

    fn keep(&mut self, site: &str, answer: &Response) {
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap_or_default();
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            let key = (site.to_owned(), name.trim().to_owned());
            if value.is_empty() {
                self.cookies.remove(&key)
            } else {
                self.cookies.insert(key, value.to_owned())
            };
        }
    }

    /// Goes from the provider's page through its login, and answers the address that the provider sends the browser back to.
    pub async fn log_in(&mut self, provider: &Provider, page: &str, user: &str) -> String {
        let issuer = provider.issuer();
        let mut at = page.to_owned();
        for _ in 0..10 {
            let answer = if at.contains("/interaction/") {
                let shown = self.ask(Method::GET, &issuer, &at, None).await.text().await.unwrap_or_default();
                let prompt = if shown.contains("value=\"consent\"") { "consent" } else { "login" };
                let form = format!("prompt={prompt}&login={user}&password=any");
                self.ask(Method::POST, &issuer, &at, Some(&form)).await
            } else {
                self.ask(Method::GET, &issuer, &at, None).await
            };
            let next = location(&answer).unwrap_or_else(|| panic!("{at}: {}", answer.status()));
            at = if next.starts_with('/') { format!("{issuer}{next}") } else { next };
            if !at.starts_with(&issuer) {
                return at;
            }
        }
        panic!("the provider sends its browser in circles, at last to {at}");
    }
}

/// A browser that has logged in: it began at one replica and came back to another (`http://host:port`), both of one site.
pub async fn log_in(provider: &Provider, site: &str, begin: &str, end: &str, user: &str) -> Browser {
    let mut browser = Browser::default();
    let answer = browser.ask(Method::GET, site, &format!("{begin}/zot/auth/login?provider=oidc"), None).await;
    let page = location(&answer).unwrap_or_else(|| panic!("no login: {}", answer.status()));
    let back = browser.log_in(provider, &page, user).await;
    let back = back.strip_prefix(site).unwrap_or_else(|| panic!("sent to {back}"));
    let answer = browser.ask(Method::GET, site, &format!("{end}{back}"), None).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
    browser
}

/// Where an answer sends a browser.
#[must_use]
pub fn location(answer: &Response) -> Option<String> {
    answer.headers().get(LOCATION)?.to_str().ok().map(str::to_owned)
}
