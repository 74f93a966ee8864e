use proptest::prelude::*;
use wharf_oci::Algorithm;

use super::*;
use crate::properties;

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

fn digest() -> Digest {
    Algorithm::Sha256.digest(b"x")
}

#[test]
fn every_resource_has_its_path() {
    let id: UploadId = "0123456789abcdef0123456789abcdef".parse().expect("an id");
    let tag = |text: &str| Reference::Tag(text.parse().expect("a tag"));
    let d = digest();
    for (path, route) in [
        ("/v2/".to_owned(), Route::Base),
        ("/v2".to_owned(), Route::Base),
        ("/v2/_catalog".to_owned(), Route::Catalog),
        ("/token".to_owned(), Route::Token),
        ("/zot/auth/token".to_owned(), Route::Token),
        ("/zot/auth/login".to_owned(), Route::Login),
        ("/zot/auth/callback/oidc".to_owned(), Route::Callback("oidc".to_owned())),
        ("/zot/auth/logout".to_owned(), Route::Logout),
        ("/livez".to_owned(), Route::Live),
        ("/readyz".to_owned(), Route::Ready),
        ("/startupz".to_owned(), Route::Started),
        ("/v2/a/manifests/latest".to_owned(), Route::Manifest(name("a"), tag("latest"))),
        ("/v2/a/b/c/manifests/list".to_owned(), Route::Manifest(name("a/b/c"), tag("list"))),
        (format!("/v2/a/manifests/{d}"), Route::Manifest(name("a"), Reference::Digest(d.clone()))),
        (format!("/v2/a/blobs/{d}"), Route::Blob(name("a"), d.clone())),
        (format!("/v2/a/blobs/{}", d.to_string().replace(':', "%3A")), Route::Blob(name("a"), d.clone())),
        (format!("/v2/a/referrers/{}", d.to_string().replace(':', "%3a")), Route::Referrers(name("a"), d.clone())),
        ("/v2/a/blobs/uploads/".to_owned(), Route::Uploads(name("a"))),
        ("/v2/a/blobs/uploads".to_owned(), Route::Uploads(name("a"))),
        (format!("/v2/a/blobs/uploads/{id}"), Route::Upload(name("a"), id.clone())),
        ("/v2/a/tags/list".to_owned(), Route::Tags(name("a"))),
        (format!("/v2/a/referrers/{d}"), Route::Referrers(name("a"), d.clone())),
        // Names made of the words of paths.
        ("/v2/blobs/uploads/manifests/1".to_owned(), Route::Manifest(name("blobs/uploads"), tag("1"))),
        ("/v2/tags/list/tags/list".to_owned(), Route::Tags(name("tags/list"))),
        ("/v2/a/manifests/tags/list".to_owned(), Route::Tags(name("a/manifests"))),
        (format!("/v2/manifests/blobs/{d}"), Route::Blob(name("manifests"), d.clone())),
        ("/v2/a/blobs/uploads/blobs/uploads/".to_owned(), Route::Uploads(name("a/blobs/uploads"))),
        (format!("/v2/v2/v2/blobs/uploads/{id}"), Route::Upload(name("v2/v2"), id)),
    ] {
        assert_eq!(Route::parse(&path), Ok(route), "{path}");
    }
}

#[test]
fn what_is_malformed_is_named() {
    let d = digest();
    for (path, why) in [
        ("/".to_owned(), NoRoute::Path),
        ("".to_owned(), NoRoute::Path),
        ("/v1/".to_owned(), NoRoute::Path),
        ("/v2//".to_owned(), NoRoute::Path),
        ("/zot/auth/callback/".to_owned(), NoRoute::Path),
        ("/zot/auth/callback/a/b".to_owned(), NoRoute::Path),
        ("/zot/auth/callback/a%2fb".to_owned(), NoRoute::Path),
        ("/v2/a".to_owned(), NoRoute::Path),
        ("/v2/a/".to_owned(), NoRoute::Path),
        ("/v2/a/b/c/d".to_owned(), NoRoute::Path),
        ("/v2/manifests/latest".to_owned(), NoRoute::Path),
        ("/v2/a%2Fmanifests%2Flatest".to_owned(), NoRoute::Path),
        ("/v2/a/manifests%2Flatest".to_owned(), NoRoute::Path),
        ("/v2/a/%62lobs/uploads/".to_owned(), NoRoute::Path),
        ("/v2%2F".to_owned(), NoRoute::Path),
        ("/%6civez".to_owned(), NoRoute::Path),
        ("/v2/%ff/manifests/latest".to_owned(), NoRoute::Name(InvalidName::Grammar)),
        (format!("/v2/a%2Fb/blobs/{d}"), NoRoute::Name(InvalidName::Grammar)),
        ("/v2/a%2fb/tags/list".to_owned(), NoRoute::Name(InvalidName::Grammar)),
        ("/v2/%61/tags/list".to_owned(), NoRoute::Name(InvalidName::Grammar)),
        (format!("/v2//blobs/{d}"), NoRoute::Name(InvalidName::Grammar)),
        (format!("/v2/a/../b/blobs/{d}"), NoRoute::Name(InvalidName::Grammar)),
        (format!("/v2/a/%2e%2e/blobs/{d}"), NoRoute::Name(InvalidName::Grammar)),
        (format!("/v2/a//b/blobs/{d}"), NoRoute::Name(InvalidName::Grammar)),
        ("/v2/A/manifests/1".to_owned(), NoRoute::Name(InvalidName::Grammar)),
        ("/v2/a%252Fb/manifests/1".to_owned(), NoRoute::Name(InvalidName::Grammar)),
        (format!("/v2/{}/manifests/1", "a".repeat(300)), NoRoute::Name(InvalidName::Length)),
        ("/v2/a/blobs/sha256:1".to_owned(), NoRoute::Digest(InvalidDigest::Hex)),
        ("/v2/a/blobs/latest".to_owned(), NoRoute::Digest(InvalidDigest::Form)),
        ("/v2/a/referrers/md5:1".to_owned(), NoRoute::Digest(InvalidDigest::Algorithm)),
        ("/v2/a/manifests/sha256:1".to_owned(), NoRoute::Digest(InvalidDigest::Hex)),
        ("/v2/a/manifests/-bad".to_owned(), NoRoute::Tag(InvalidReference::Tag)),
        ("/v2/a/manifests/".to_owned(), NoRoute::Tag(InvalidReference::Tag)),
        ("/v2/a/manifests/a%2Fb".to_owned(), NoRoute::Tag(InvalidReference::Tag)),
        ("/v2/a/manifests/l%61test".to_owned(), NoRoute::Tag(InvalidReference::Tag)),
        (format!("/v2/a/blobs/{}", d.to_string().replace(':', "%253A")), NoRoute::Digest(InvalidDigest::Form)),
        ("/v2/a/blobs/uploads/1".to_owned(), NoRoute::UploadId),
    ] {
        assert_eq!(Route::parse(&path), Err(why), "{path}");
    }
}

#[test]
fn probes_are_no_requests_of_clients() {
    for path in ["/livez", "/readyz", "/startupz"] {
        assert!(Route::parse(path).is_ok_and(|route| route.is_watch()), "{path}");
    }
    assert!(!Route::Base.is_watch() && Route::parse("/livez/").is_err());
}

#[test]
fn methods_are_those_of_the_resource() {
    let route = Route::Blob(name("a"), digest());
    assert!(route.allows(&Method::HEAD) && route.allows(&Method::DELETE));
    assert!(!route.allows(&Method::PUT) && !route.allows(&Method::OPTIONS));
    assert!(!Route::Uploads(name("a")).allows(&Method::GET));
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("v2".to_owned()),
        Just("blobs".to_owned()),
        Just("uploads".to_owned()),
        Just("manifests".to_owned()),
        Just("tags".to_owned()),
        Just("list".to_owned()),
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("".to_owned()),
        "[a-z0-9._-]{1,5}",
        "\\PC{0,6}",
    ]
}

proptest! {
    #[test]
    fn no_path_is_too_strange(words in proptest::collection::vec(word(), 0..8)) {
        let path = format!("/{}", words.join("/"));
        properties::path(&path);
        let route = Route::parse(&path);
        if let Ok(Route::Manifest(name, _) | Route::Blob(name, _) | Route::Tags(name) | Route::Uploads(name)) = route {
            prop_assert!(!name.as_str().split('/').any(|c| c.is_empty() || c == ".."));
        }
    }

    #[test]
    fn a_name_of_any_words_is_found_again(words in proptest::collection::vec("[a-z0-9]{1,4}|blobs|uploads|manifests|tags|list", 1..5)) {
        let name = name(&words.join("/"));
        prop_assert_eq!(Route::parse(&format!("/v2/{name}/tags/list")), Ok(Route::Tags(name.clone())));
        prop_assert_eq!(Route::parse(&format!("/v2/{name}/blobs/uploads/")), Ok(Route::Uploads(name.clone())));
        let d = digest();
        prop_assert_eq!(Route::parse(&format!("/v2/{name}/blobs/{d}")), Ok(Route::Blob(name.clone(), d.clone())));
        prop_assert_eq!(Route::parse(&format!("/v2/{name}/referrers/{d}")), Ok(Route::Referrers(name, d)));
    }
}
