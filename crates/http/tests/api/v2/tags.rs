//! `/v2/<name>/tags/list`

use serde_json::json;

use crate::server::{Server, body, header, refused};

#[tokio::test]
async fn tags_come_in_order_and_in_pages() {
    let server = Server::start().await;
    for tag in ["b", "a", "c_1", "B"] {
        server.image("a/b", tag, "config").await;
    }
    let path = "/v2/a/b/tags/list";
    let all = server.get(path).await;
    assert!(!all.headers().contains_key("link"));
    assert_eq!(body(all).await, json!({ "name": "a/b", "tags": ["B", "a", "b", "c_1"] }));
    let first = server.get(&format!("{path}?n=3")).await;
    let link = header(&first, "link");
    assert_eq!(link, "</v2/a/b/tags/list?n=3&last=b>; rel=\"next\"");
    assert_eq!(body(first).await["tags"], json!(["B", "a", "b"]));
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = server.get(next).await;
    assert!(!second.headers().contains_key("link"));
    assert_eq!(body(second).await["tags"], json!(["c_1"]));
    for (query, tags) in [
        ("n=4", json!(["B", "a", "b", "c_1"])),
        ("n=0", json!([])),
        ("last=aa", json!(["b", "c_1"])),
        ("last=zzz", json!([])),
        ("last=", json!(["B", "a", "b", "c_1"])),
        ("n=99999999999999999999999", json!(["B", "a", "b", "c_1"])),
    ] {
        let page = server.get(&format!("{path}?{query}")).await;
        assert!(!page.headers().contains_key("link"), "{query}");
        assert_eq!(body(page).await["tags"], tags, "{query}");
    }
    for n in ["-1", "x", "", "1.5"] {
        refused(server.get(&format!("{path}?n={n}")).await, 400, "UNSUPPORTED").await;
    }
    let head = server.head(path).await;
    assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (200, 0));
    refused(server.get("/v2/unknown/tags/list").await, 404, "NAME_UNKNOWN").await;
}
