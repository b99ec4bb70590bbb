#!/usr/bin/env bash
# A whole session, scripted: a server and three clients. Every line shown after `NAME |` is what that
# client's program printed. With `--write` the session also goes into README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --bins
bin=$PWD/target/release
work=$(mktemp -d)
shown=$work/session
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
cp credentials.txt "$work"
chmod 600 "$work/credentials.txt"

(cd "$work" && exec "$bin/hobnob-server" 0 >"$work/server" 2>"$work/server.log") &
until grep -q '^fingerprint ' "$work/server" 2>/dev/null; do sleep 0.05; done
port=$(sed -n 's/^listening on .*://p' "$work/server")

show() { echo "$1" | tee -a "$shown"; }

# enter NAME PASSWORD: starts a client that reads its lines from a pipe.
enter() {
    mkfifo "$work/$1.in"
    echo "$2" >"$work/$1.password"
    : >"$work/$1.out"
    "$bin/hobnob" "$port" --state "$work/$1.state" --private-bind 127.0.0.1 \
        --user "$1" --password-file "$work/$1.password" <"$work/$1.in" >"$work/$1.out" 2>"$work/$1.err" &
    exec {fd}>"$work/$1.in"
    declare -g "fd_$1=$fd" "seen_$1=0"
}

# say NAME LINE: types a line.
say() {
    local fd="fd_$1"
    show "$1 > $2"
    echo "$2" >&"${!fd}"
}

# see NAME TEXT: waits until the client has printed a line with TEXT, and shows all up to it.
see() {
    local seen="seen_$1" tries=0 line
    until tail -n +$((${!seen} + 1)) "$work/$1.out" | grep -qF -- "$2"; do
        sleep 0.05
        tries=$((tries + 1))
        if [ $tries -gt 400 ]; then
            echo "demo: $1 never saw: $2" >&2
            tail "$work/$1.out" "$work/$1.err" "$work/server.log" >&2
            exit 1
        fi
    done
    while IFS= read -r line; do
        declare -g "$seen=$((${!seen} + 1))"
        show "$1 | $line"
        case $line in *"$2"*) break ;; esac
    done < <(tail -n +$((${!seen} + 1)) "$work/$1.out")
}

# leave NAME: logs out and waits for the program to end.
leave() {
    local fd="fd_$1"
    say "$1" logout
    eval "exec ${!fd}>&-"
}

show "# hans comes; yoda is not there yet, so his message waits"
enter hans falcon
see hans hans
say hans "message yoda The Death Star is ready."
see hans yoda
enter luke 'light==saber'
see hans "luke logged in"
enter yoda 'wise@!man'
see yoda "Death Star"
see hans "yoda logged in"
show "# luke blocks hans; hans is told, and no more"
say luke "block hans"
see luke hans
say hans "message luke Hey."
see hans "blocked you"
say hans "broadcast Hello everybody!"
see yoda "Hello everybody!"
see hans "could not be delivered to some recipients"
say luke "unblock hans"
see luke hans
show "# a group"
say yoda "create group jedi luke hans"
see luke jedi
say luke "message group jedi May the force be with you."
see yoda "force"
see hans "force"
show "# a private conversation, from client to client"
say hans "startprivate yoda"
see yoda "would like to private message"
say yoda "accept hans"
see hans "Start private messaging with yoda"
say hans "private yoda Not even the server reads this."
see yoda "Not even the server"
say yoda "stopprivate hans"
see hans yoda
leave hans
see yoda "hans logged out"
leave luke
leave yoda
show "# done"

if [ "${1:-}" = "--write" ]; then
    awk -v file="$shown" '
        /<!-- session:/ { print; print ""; while ((getline line < file) > 0) print "    " line; print ""; skip = 1; next }
        /<!-- end of session/ { skip = 0 }
        !skip { print }' README.md >"$work/README.md"
    cp "$work/README.md" README.md
fi
