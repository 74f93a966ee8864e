//! Listings of records.

use futures::future::join_all;

use super::done;
use super::records::{delete, put};
use crate::{ListPage, ListRequest, Records};

async fn page(store: &dyn Records, request: ListRequest<'_>) -> ListPage {
    let limit = request.limit;
    let page = done(store.list(request).await, "list");
    let count = page.entries.len() + page.folders.len();
    assert!(count <= limit, "a page of at most {limit} has {count}");
    assert!(page.next.is_none() || count > 0, "a page that another follows has something on it");
    page
}

/// All keys under a prefix, sorted.
pub(super) async fn keys_under(store: &dyn Records, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let request = ListRequest { prefix, after: after.as_deref(), fold: false, limit: 1000 };
        let page = page(store, request).await;
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        after = page.next;
        if after.is_none() {
            keys.sort();
            return keys;
        }
    }
}

async fn fill(store: &dyn Records, folder: &str, names: &[&str]) -> Vec<String> {
    let keys: Vec<_> = names.iter().map(|name| format!("{folder}/{name}")).collect();
    for key in &keys {
        put(store, key, key.clone()).await;
    }
    keys
}

async fn clear(store: &dyn Records, keys: &[String]) {
    join_all(keys.iter().map(|key| delete(store, key))).await;
}

fn names(page: &ListPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.key.as_str()).collect()
}

pub(super) async fn whole(store: &dyn Records, folder: &str) {
    let prefix = format!("{folder}/");
    let request = ListRequest { prefix: &prefix, after: None, fold: false, limit: 100 };
    assert_eq!(page(store, request.clone()).await, ListPage::default(), "nothing is there yet");
    let keys = fill(store, folder, &["a", "b/x", "b/y", "c"]).await;
    let other = fill(store, &format!("{folder}er"), &["a"]).await;
    let listed = page(store, request.clone()).await;
    assert_eq!(names(&listed), keys, "a listing after writes sees them all, and no others");
    for entry in &listed.entries {
        assert_eq!(entry.size, entry.key.len() as u64, "the size of {}", entry.key);
    }
    let fifth = put(store, &keys[3], "another value").await;
    let listed = page(store, request.clone()).await;
    let last = listed.entries.last().map(|entry| (entry.size, entry.etag.as_str().to_owned()));
    let (size, tag) = last.unwrap_or_else(|| panic!("the listing is empty"));
    assert_eq!(size, 13, "a listing after a write over a record sees it");
    assert!(fifth.as_str().starts_with(&tag), "the listing's tag {tag} is not that of the version, {fifth:?}");
    delete(store, &keys[0]).await;
    let listed = page(store, request).await;
    assert_eq!(names(&listed), &keys[1..], "a listing after a removal");
    clear(store, &[keys, other].concat()).await;
}

pub(super) async fn pages(store: &dyn Records, folder: &str) {
    let prefix = format!("{folder}/");
    let all = ["0", "1", "10", "2", "A", "a", "a!", "a,", "a-b", "b", "b_", "z"];
    let mut sorted = all;
    sorted.sort_unstable();
    let keys = fill(store, folder, &all).await;
    for limit in [1, 2, 5, 100] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let request = ListRequest { prefix: &prefix, after: after.as_deref(), fold: false, limit };
            let page = page(store, request).await;
            found.extend(page.entries.into_iter().map(|entry| entry.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = sorted.iter().map(|name| format!("{prefix}{name}")).collect();
        assert_eq!(found, expected, "pages of {limit} give every key once, in order");
    }
    let after = format!("{prefix}a-");
    let request = ListRequest { prefix: &prefix, after: Some(&after), fold: false, limit: 2 };
    let listed = page(store, request).await;
    let expected = [format!("{prefix}a-b"), format!("{prefix}b")];
    assert_eq!(names(&listed), expected, "what comes after a key that does not exist");
    clear(store, &keys).await;
}

pub(super) async fn folders(store: &dyn Records, folder: &str) {
    let prefix = format!("{folder}/");
    let names = ["a", "b/1", "b/2", "b/c/3", "c", "d/1", "e/f/g/h"];
    let keys = fill(store, folder, &names).await;
    let at = |name: &str| format!("{prefix}{name}");
    let expected = [at("a"), at("b/"), at("c"), at("d/"), at("e/")];
    for limit in [1, 2, 3, 100] {
        let found = folded(store, &prefix, None, limit).await;
        assert_eq!(found, expected, "folded, in pages of {limit}");
    }
    for (after, from) in [("a", 1), ("b/", 2), ("b/1", 2), ("b/zz", 2), ("d", 3), ("d/", 4), ("e/", 5), ("e/f/g", 5)] {
        let found = folded(store, &prefix, Some(at(after)), 100).await;
        assert_eq!(found, &expected[from..], "folded, after {after}");
    }
    let found = folded(store, &at("b/"), None, 100).await;
    assert_eq!(found, [at("b/1"), at("b/2"), at("b/c/")], "folded, one floor up");
    clear(store, &keys).await;
}

/// Names of which stores think differently what comes first. None is lost between two pages, and none comes twice.
pub(super) async fn neighbours(store: &dyn Records, folder: &str) {
    let prefix = format!("{folder}/");
    let names = ["a", "a!", "a,b", "a-", "a-b", "a.b", "a0", "aa", "a_", "A", "b"];
    let all: Vec<_> = names.iter().flat_map(|name| [format!("{name}/x"), format!("{name}/y")]).collect();
    let mut keys = fill(store, folder, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    keys.sort();
    let mut folders: Vec<_> = names.iter().map(|name| format!("{prefix}{name}/")).collect();
    folders.sort();
    for limit in [1, 2, 3, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let request = ListRequest { prefix: &prefix, after: after.as_deref(), fold: false, limit };
            let page = page(store, request).await;
            found.extend(page.entries.into_iter().map(|entry| entry.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, keys, "pages of {limit} give every key once");
        let mut found = folded(store, &prefix, None, limit).await;
        found.sort();
        assert_eq!(found, folders, "folded pages of {limit} give every folder once");
    }
    clear(store, &keys).await;
}

/// Keys and folders together, in order of each page.
async fn folded(store: &dyn Records, prefix: &str, mut after: Option<String>, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let request = ListRequest { prefix, after: after.as_deref(), fold: true, limit };
        let page = page(store, request).await;
        let mut names: Vec<_> = page.entries.into_iter().map(|entry| entry.key).chain(page.folders).collect();
        names.sort();
        found.extend(names);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// More than one page of the largest size.
pub(super) async fn many(store: &dyn Records, folder: &str) {
    const COUNT: usize = 1050;
    let keys: Vec<_> = (0..COUNT).map(|i| format!("{folder}/{i:04}/x")).collect();
    for some in keys.chunks(64) {
        join_all(some.iter().map(|key| put(store, key, "x"))).await;
    }
    let prefix = format!("{folder}/");
    assert!(keys_under(store, &prefix).await == keys, "{COUNT} keys are listed");
    let folders: Vec<_> = keys.iter().map(|key| key[..key.len() - 1].to_owned()).collect();
    assert!(folded(store, &prefix, None, COUNT * 2).await == folders, "{COUNT} folders are listed");
    for some in keys.chunks(64) {
        clear(store, some).await;
    }
    assert!(keys_under(store, &prefix).await.is_empty(), "all were removed");
}
