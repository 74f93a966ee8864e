//! The other tests rest on this: consecutive requests, also of one client connection, reach different replicas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wharf_e2e::{Lab, Registry, balancer, say};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_goes_to_the_next_replica() {
    let lab = Lab::new("balancer");
    let registry = Registry::cluster(&lab, 3).await;
    // The client keeps one connection open; requests are strictly one after another.
    let client = registry.client();
    let mut served = Vec::new();
    for _ in 0..30 {
        let answer = client.request(reqwest::Method::GET, "/v2/").send().await.unwrap();
        let name = answer.headers()[balancer::SERVED_BY].to_str().unwrap().to_owned();
        answer.bytes().await.unwrap();
        served.push(name);
    }
    assert!(served.windows(2).all(|pair| pair[0] != pair[1]), "{served:?}");
    assert_eq!(served.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{served:?}");
    say!("30 requests of one connection went round {:?}", &served[..3]);
}
