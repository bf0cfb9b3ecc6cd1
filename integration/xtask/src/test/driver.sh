# shellcheck shell=dash
# driver SECONDS (NUMBER DIRECTORY BINARY TEST)...
# Runs each test in a process of its own, in the directory and with the variable that cargo gives
# it, and ends one that takes too long, with all that it started. The lines that start with === are
# for the runner, and start on a line of their own whatever a test that crashed has left unfinished.
limit=$1
shift
while [ $# -gt 0 ]; do
	printf '\n=== run %s\n' "$1"
	(
		cd "$2" && CARGO_MANIFEST_DIR=$2 exec timeout --kill-after=10 "$limit" \
			"$3" --ignored --exact "$4" --test-threads=1 --color=never
	) 2>&1
	printf '\n=== exit %s\n' $?
	shift 4
done
exit 0
