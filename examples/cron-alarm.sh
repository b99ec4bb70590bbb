#!/bin/sh
# Says so when a disk fills up; silent otherwise. For cron, every quarter of an hour:
#
#     */15 * * * *  /path/to/cron-alarm.sh
#
# WHOM is told when more than PERCENT of DISK is used. Server, user and password are those of the environment or of
# client.toml; PASSWORD_FILE is read here.
set -u
disk=${DISK:-/}
limit=${PERCENT:-90}
used=$(df -P "$disk" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
[ "$used" -gt "$limit" ] || exit 0
text="$(uname -n): $disk is $used % full"
exec "${HOBNOB:-hobnob}" send ${PASSWORD_FILE:+--password-file "$PASSWORD_FILE"} "${WHOM:?who is to be told}" "$text" >/dev/null
