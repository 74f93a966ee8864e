//! Imports point down only, and each foreign library that shapes a layer stays inside it. `just deny` checks the
//! foreign ones for indirect dependencies too; this needs nothing but cargo.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use wharf_e2e::tools;

/// Which crates of the workspace a crate may import.
const LAYERS: [(&str, &[&str]); 9] = [
    ("wharf-filebytes", &[]),
    ("wharf-oci", &[]),
    ("wharf-store", &["wharf-oci", "wharf-filebytes"]),
    ("wharf-auth", &["wharf-oci"]),
    ("wharf-registry", &["wharf-oci", "wharf-store"]),
    ("wharf-http", &["wharf-oci", "wharf-filebytes", "wharf-auth", "wharf-registry"]),
    ("wharf", &["wharf-oci", "wharf-store", "wharf-auth", "wharf-registry", "wharf-http"]),
    ("wharf-sim", &["wharf-oci", "wharf-store", "wharf-registry"]),
    // The measurements run the program as the end-to-end tests do.
    ("wharf-bench", &["wharf-e2e"]),
];

/// Which crates of the workspace may import a foreign library.
const KEPT_INSIDE: [(&str, &[&str]); 7] = [
    ("object_store", &["wharf-store"]),
    ("redb", &["wharf-store"]),
    // The harness is a client.
    ("reqwest", &["wharf-store", "wharf-auth", "wharf-e2e"]),
    // The client of the measurements has to cost less than what it measures.
    ("hyper", &["wharf-http", "wharf-bench"]),
    ("hyper-util", &["wharf-http", "wharf-bench"]),
    ("indicatif", &["wharf"]),
    ("tokio-rustls", &["wharf-http"]),
];

#[test]
fn imports_point_down() {
    let dependencies = dependencies();
    let mut wrong = Vec::new();
    for (name, imports) in &dependencies {
        let ours = imports.iter().filter(|import| dependencies.contains_key(*import));
        match LAYERS.iter().find(|(layer, _)| layer == name) {
            Some((_, allowed)) => wrong.extend(
                ours.filter(|import| !allowed.contains(&import.as_str())).map(|import| format!("{name} -> {import}")),
            ),
            // Tests and tools may import anything; nothing else may import them.
            None => wrong.extend(
                dependencies
                    .iter()
                    .filter(|(by, imports)| imports.contains(name) && *by != "wharf-bench")
                    .map(|(by, _)| format!("{by} -> {name}")),
            ),
        }
    }
    assert!(wrong.is_empty(), "imports that do not point down: {}", wrong.join(", "));
}

#[test]
fn foreign_libraries_stay_in_their_layer() {
    let mut wrong = Vec::new();
    for (name, imports) in dependencies() {
        for (library, allowed) in KEPT_INSIDE {
            if imports.iter().any(|import| import == library) && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{name} -> {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "libraries outside of their layer: {}", wrong.join(", "));
}

/// The direct dependencies of each crate of the workspace that are part of its product (no development dependencies).
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(tools::root()).args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&tools::run(&mut command)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let imports = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].is_null()).map(name).collect()
    };
    packages.iter().map(|package| (name(package), imports(package))).collect()
}
