# tests/lib/tap.sh: TAP for tests in sh. Source it, call check for every sentence, end with finish.
#
#     check "a sentence about what holds" COMMAND ARG...    passes when the command does; its output is shown when not
#     refuse "a sentence" COMMAND ARG...                    passes when the command fails
#     skip_all REASON                                       ends here, as skipped

tap_n=0
tap_failed=0

tap_result() { # status, sentence, output
	tap_n=$((tap_n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_n - $2"
	else
		echo "not ok $tap_n - $2"
		printf '%s\n' "$3" | sed 's/^/# /'
		tap_failed=1
	fi
}

check() {
	tap_name=$1
	shift
	tap_out=$("$@" 2>&1)
	tap_result $? "$tap_name" "$tap_out"
}

refuse() {
	tap_name=$1
	shift
	if tap_out=$("$@" 2>&1); then
		tap_result 1 "$tap_name" "it did not fail: $tap_out"
	else
		tap_result 0 "$tap_name"
	fi
}

skip_all() {
	echo "$*"
	exit 77
}

finish() {
	echo "1..$tap_n"
	exit $tap_failed
}
