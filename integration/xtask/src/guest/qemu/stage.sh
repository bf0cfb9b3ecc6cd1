#!/run/guest/bin/busybox sh
# shellcheck shell=dash
# The guest's first process once the host's files are its root: runs the job and tells its status.
# Only the job uses the host's programs.
set -eu
cd /run/guest
PATH=/run/guest/bin
. ./settings
hostname guest
ip link set lo up

port() {
	echo /dev/vport*p"$1"
}
exec 9>"$(port "$VERDICT_PORT")"
mkfifo stdin stdout stderr
# A port can be opened once only, and a command may well open /dev/stderr: it gets pipes.
cat <"$(port "$STDIN_PORT")" >stdin &
cat <stdout >"$(port "$STDOUT_PORT")" &
cat <stderr >"$(port "$STDERR_PORT")" &
exec 7>stdout 8>stderr

echo up >&9
status=0
/bin/sh ./job <stdin >&7 2>&8 7>&- 8>&- 9>&- || status=$?
printf "$END_OF_STREAM" >&7
printf "$END_OF_STREAM" >&8
sync
echo "exit $status" >&9

# The runner ends the machine; if there is no runner any more, it ends itself.
sleep 10
poweroff -f
