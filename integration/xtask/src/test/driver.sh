# shellcheck shell=dash
# driver FILTER (LABEL DIRECTORY BINARY)...
# Runs the kernel tests of each binary, in the directory and with the variable that cargo gives it.
# The lines that start with === are for the runner, and start on a line of their own whatever a
# binary that crashed has left unfinished.
filter=$1
shift
while [ $# -gt 0 ]; do
	printf '\n=== run %s\n' "$1"
	(cd "$2" && CARGO_MANIFEST_DIR=$2 exec "$3" --ignored --skip kubectl:: --test-threads=1 --color=never ${filter:+"$filter"})
	printf '\n=== exit %s %s\n' $? "$1"
	shift 3
done
exit 0
