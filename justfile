# Recipes for those who have just; each is one command of the repository.

# Everything that a change must pass.
test:
    tools/test

# Format, lints, dependencies.
lint: deny
    tools/test lint

# Unit tests only.
unit:
    tools/test unit

# The end-to-end tests, or some of them: just e2e --test resume
e2e *arguments:
    tools/test e2e {{arguments}}

# Clients that take long to build: ORAS, Helm, regctl, cosign.
e2e-more:
    tools/setup-more
    tools/test e2e --test clients_more -- --ignored
    tools/test e2e --test auth -- --ignored more_clients

# The end-to-end tests at full size: hours.
soak:
    WHARF_E2E_RESUME_MIB=3072 tools/test e2e --test resume
    WHARF_E2E_MEMORY_MIB=256 tools/test e2e --test memory
    WHARF_E2E_KILLS=200 tools/test e2e --test kill9
    WHARF_E2E_MANIFESTS=100000 WHARF_E2E_MANY_TAGS=50000 tools/test e2e --test startup
    WHARF_E2E_MALFORMED=100000 tools/test e2e --test malformed
    WHARF_E2E_ROUNDS=20 tools/test e2e --test rolling
    WHARF_E2E_TAGS=5000 tools/test e2e --test tags_race
    WHARF_E2E_FAULTS=4 tools/test e2e --test faults
    WHARF_E2E_SOAK=600 tools/test e2e --test soak

# The store suite and the soak over another S3 server with conditional writes: just soak-on versitygw
soak-on store="versitygw" seconds="600":
    tools/setup-more
    tools/test-stores.sh {{store}}
    WHARF_E2E_STORE={{store}} WHARF_E2E_SOAK={{seconds}} tools/test e2e --test soak

# Garage, which has no conditional writes: refused, and served by one process alone. Builds it first, without optimization: that takes half an hour.
garage:
    test -x .cache/cargo/bin/garage || CARGO_PROFILE_DEV_DEBUG=0 cargo install garage --version 2.5.0 --locked --debug --root .cache/cargo
    tools/test e2e --test unconditional -- --ignored

# A cluster on hosts of its own: what clients see when hosts and links fail. Needs root.
hosts *test:
    tools/hosts test {{test}}

# Throughput with one to four replicas whose links are limited, and its picture in docs. Needs root, and a quiet machine.
scaling *arguments:
    tools/hosts scaling {{arguments}}

# What a busy collector does to pushes. Says something only on a machine that does nothing else.
push-latency:
    tools/test e2e --test push_latency -- --ignored

# What a token costs a pull. Says something only on a machine that does nothing else; WHARF_BIN names a release's program.
auth-cost:
    tools/test e2e --test auth_cost -- --ignored

# Wharf beside other registries, measured: just bench compare --only manifest
bench *arguments:
    tools/bench {{arguments}}

# Licences, banned crates and sources of all dependencies.
deny:
    test -x .cache/cargo/bin/cargo-deny || cargo install cargo-deny --version 0.20.2 --locked --root .cache/cargo
    PATH="$PWD/.cache/cargo/bin:$PATH" cargo deny --locked check bans licenses sources

# The registry over ./registry on port 5000.
run *arguments:
    cargo run --release -- serve {{arguments}}

# Every parser against made-up input, some seconds each.
fuzz seconds="60":
    tools/fuzz {{seconds}}

# What is shipped, made and used: the container image, the Debian package, the chart on real nodes.
ship:
    tools/image --test --sbom
    tools/deb --test
    tools/k8s/test

# The exhaustive model of the storage protocol, or the scenarios whose names contain a word: just model chunks:
model *words:
    cargo run --release --package wharf-model -- {{words}}
