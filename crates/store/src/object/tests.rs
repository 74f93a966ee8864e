use super::*;
use crate::Records as _;

fn store(root: &str) -> ObjectStore {
    let options = serde_json::json!({ "bucket": "b", "regionendpoint": "http://127.0.0.1:1", "rootdirectory": root });
    connect_s3(&S3Settings::new(options.as_object().unwrap()).unwrap()).unwrap()
}

#[test]
fn names_lie_under_the_root() {
    for (root, name) in [("", "a/b"), ("r/s", "r/s/a/b")] {
        let store = store(root);
        let path = store.path("get", "a/b").unwrap();
        assert_eq!(path.as_ref(), name);
        assert_eq!(store.key(&path), Some("a/b"));
    }
    assert_eq!(store("r").key(&Path::from("rs/a")), None);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    for key in ["a//b", "a/../b", "a/\n"] {
        let error = store("").get(key).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    }
}
