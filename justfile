# Every recipe of the project. `.ci/run` calls the same commands; nothing needs `just` to be installed.

# The main job: a server with the sample accounts; log in from another terminal with `just client`.
run:
    cargo run --release --bin hobnob-server

client *ARGS:
    cargo run --release --bin hobnob -- {{ARGS}}

# A whole scripted session: a server and three clients.
demo:
    bash tests/demo.sh

test:
    cargo test --features sim

fmt:
    cargo fmt --all --check

lint:
    cargo clippy --all-targets --features sim -- -D warnings

# The core alone, without std.
core:
    cargo check --lib --no-default-features
    cargo clippy --lib --tests --no-default-features --features planted -- -D warnings

# The programs without the feature `port-mapping`: they speak to no router.
lean:
    cargo clippy --lib --bins --no-default-features --features shell -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features sim

# SEEDS seeds of the simulated world.
sim SEEDS="200":
    cargo run --release --features sim --bin hobnob-sim -- run --seeds 0..{{SEEDS}}

replay FILE:
    cargo run --release --features sim --bin hobnob-sim -- replay {{FILE}}

# So many events of the simulated world, from a seed on. A thousand million take a quarter of an hour of two cores.
soak EVENTS="1000000000" FROM="0":
    cargo run --release --no-default-features --features planted --bin hobnob-sim -- run --seeds {{FROM}}.. --events {{EVENTS}} --length 800 --rare --jobs $(nproc)

# The same of three clients and an evil server. A thousand million take half an hour of two cores.
soak-evil EVENTS="1000000000" FROM="0":
    cargo run --release --no-default-features --features planted --bin hobnob-sim -- run --evil --seeds {{FROM}}.. --events {{EVENTS}} --length 200 --rare --jobs $(nproc)

# SENDS runs of `hobnob send` from 20 loops beside a session, the server killed KILLS times.
sends SENDS="10000" KILLS="20":
    HOBNOB_SENDS={{SENDS}} HOBNOB_SEND_KILLS={{KILLS}} cargo test --release --test end_to_end send::every -- --nocapture

# SEEDS seeds of the two shells' loops on model sockets; `HOBNOB_SHELL_SEED=N` plays one alone.
shells SEEDS="2000":
    HOBNOB_SHELL_SEEDS={{SEEDS}} cargo test --release --features sim --test world shells::

# The simulator's exam: every planted bug must be found. Makes docs/exam.md.
exam:
    cargo run --release --no-default-features --features planted --bin hobnob-sim -- exam --jobs $(nproc) --write docs/exam.md

# KILLS SIGKILLs of the real server under load, and one at each storage call of a scripted session.
crashes KILLS="200":
    HOBNOB_KILLS={{KILLS}} HOBNOB_CALLS=all cargo test --test crashes

# Fuzzes one target of fuzz/Cargo.toml. Needs cargo-fuzz and a C++ compiler, but no nightly toolchain; `just test`
# replays the corpora without them.
fuzz TARGET SECONDS="60":
    bash .ci/fuzz {{SECONDS}} {{TARGET}}

# One shard of the mutants of server, client, records and store, such as 0/16 (about 200 of them): docs/mutants.md.
# Needs cargo-mutants. With `slow` the tests of the programs run against those that survive the others.
mutants SHARD SLOW="":
    bash .ci/mutants {{SHARD}} {{SLOW}}

# Beside a bare byte relay, in the same run.
bench *PARTS:
    cargo bench --bench relay -- {{PARTS}}

# Attacks on the real programs beside honest users, in a network namespace: all of them (10 minutes), or those
# named; `--list` shows them, `--quick` runs each once, `--write docs/attacks.md` makes the page of all.
attack *NAMES:
    cargo bench --bench attack -- {{NAMES}}

# TLS of a server with default settings, scanned by sslyze (from PyPI, installed in target/) against Mozilla's "modern" profile.
scan:
    bash .ci/scan

# Private links between all kinds of NATs and firewalls, in network namespaces; makes the table of docs/nat.md.
nat:
    HOBNOB_NAT=docs/nat.md cargo test --test nat -- --nocapture

# Restarts under load, also in turns into another build: 500 sessions, 20 restarts.
bench-restarts *WHAT:
    cargo bench --bench restarts -- {{WHAT}}

bench-core:
    cargo bench --bench core

# The screens in docs/using.md, made by a run.
using:
    HOBNOB_WRITE=1 cargo test --test using page

# A day of twelve clients: two polite restarts, a SIGKILL, a client asleep, 500 stored messages. Shows screens.
day:
    cargo test --test using day -- --nocapture

# The table of settings in docs/operating.md.
settings:
    HOBNOB_WRITE=1 cargo test --test operating

# The Debian package, in target/debian. Needs cargo-deb.
deb:
    bash packaging/deb dist

# The package installed in a copy of this system that is thrown away; the service started, and a login. Needs root.
package:
    bash .ci/package

# Both programs without a C library of the system, for any Linux, in target/x86_64-unknown-linux-musl/dist. Needs musl-tools.
musl:
    rustup target add x86_64-unknown-linux-musl
    cargo build --profile dist --target x86_64-unknown-linux-musl --bin hobnob --bin hobnob-server

ci: fmt lint core lean doc test package
    bash .ci/run
