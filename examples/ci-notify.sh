#!/bin/sh
# Runs a command and tells a group how it went, with its last lines if it failed. Its exit code stays that of the
# command, whatever becomes of the message:
#
#     GROUP=builders ci-notify.sh make test
set -u
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
code=0
"$@" >"$log" 2>&1 || code=$?
cat "$log"
if [ "$code" -eq 0 ]; then
    text="passed: $*"
else
    text="FAILED ($code): $*
$(tail -n 5 "$log")"
fi
printf '%s\n' "$text" |
    "${HOBNOB:-hobnob}" send ${PASSWORD_FILE:+--password-file "$PASSWORD_FILE"} --group "${GROUP:?which group}" - >&2 ||
    echo "ci-notify: the message was not sent ($?)" >&2
exit "$code"
