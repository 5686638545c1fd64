#!/usr/bin/env bash
# Judge this host against its baselines in a job, whatever runs the job. All wishes are variables:
#
#   CGBENCH_EXPERIMENTS   names or files, separated by blanks
#   CGBENCH_BASELINE      a name or file; each experiment's own name if empty
#   CGBENCH_RESULTS       results    CGBENCH_OUTPUT  cgbench-gate: the page and what else is written
#   CGBENCH_BUDGET        5m         CGBENCH_EFFECT  2, in percent
#   CGBENCH_TRIALS        30: trials of a first baseline; the gate needs 3 at least
#   CGBENCH_ALLOW         keys that may differ from the baseline's
#   CGBENCH_QUICK         false      CGBENCH_INCONCLUSIVE  fail, or warn to end with 0
#   CGBENCH_PROGRAM       a cgbench to use instead of this checkout's own
#
# Exit status: 0 ok, 1 regressed, 2 an error, 3 undecided: inconclusive, incomparable, or no baseline
# yet. Then one is measured and kept, and the next job has something to compare with. 4 means that
# nothing could be measured here; CGBENCH_INCONCLUSIVE=warn does not turn that into 0.
set -euo pipefail

home="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
results="${CGBENCH_RESULTS:-results}"
output="${CGBENCH_OUTPUT:-cgbench-gate}"
baseline="${CGBENCH_BASELINE:-}"
program="${CGBENCH_PROGRAM:-}"
read -ra experiments <<<"${CGBENCH_EXPERIMENTS:-}"
read -ra allowed <<<"${CGBENCH_ALLOW:-}"

note() { printf '==> %s\n' "$*" >&2; }
die() {
    printf 'gate: %s\n' "$@" >&2
    finish 2
}

# Where a job is shown, say it there, too.
told() {
    note "$1"
    [ -z "${GITHUB_ACTIONS:-}" ] || printf '::warning title=cgbench::%s\n' "$1"
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || printf '%s\n\n' "$1" >>"$GITHUB_STEP_SUMMARY"
}

# End with the status of the gate; without a verdict, as CGBENCH_INCONCLUSIVE says.
finish() {
    local status="$1"
    [ -z "${GITHUB_OUTPUT:-}" ] || printf 'status=%s\n' "$status" >>"$GITHUB_OUTPUT"
    # What root wrote must be read by what uploads it.
    if [ -n "${SUDO_UID:-}" ]; then
        for place in "$output" "$results"; do
            [ ! -e "$place" ] || chown -R "$SUDO_UID:${SUDO_GID:-}" "$place"
        done
    fi
    if ((status == 3)) && [ "${CGBENCH_INCONCLUSIVE:-fail}" = warn ]; then
        told "cgbench gave no verdict. That is no pass: see the table."
        status=0
    fi
    exit "$status"
}

# Print the name of an experiment, which a file has inside.
name_of() {
    "$program" show "$1" --json | sed -n 's/^  "name": "\(.*\)",$/\1/p'
}

# Print where an experiment's baseline is or will be.
baseline_of() {
    local name
    case "$baseline" in
    '')
        name="$(name_of "$1")" || return 1
        printf '%s/baselines/%s.json\n' "$results" "$name"
        ;;
    *.json | */*) printf '%s\n' "$baseline" ;;
    *) printf '%s/baselines/%s.json\n' "$results" "$baseline" ;;
    esac
}

# Measure a first baseline; the same host must be measured again for a verdict.
begin() {
    local name
    [ "$(dirname "$2")" = "$results/baselines" ] || die "there is no baseline $2"
    note "no baseline $2 yet: measuring one"
    local status=0
    "$program" run "$1" "${quick[@]}" --trials "${CGBENCH_TRIALS:-30}" --results "$results" ||
        status=$?
    # A host that lacks something says so by a status of its own.
    ((status != 4)) || finish 4
    ((status == 0)) || die "$1 could not be measured"
    name="$(name_of "$1")"
    "$program" baseline set "$name" --name "$(basename "$2" .json)" --results "$results" ||
        die "no baseline could be made of $name"
    told "No baseline for $name yet: $2 was measured here. Commit it, or keep it in a cache."
}

# --- Wishes ----------------------------------------------------------------------------------

((${#experiments[@]} > 0)) || die "no experiment is named: set CGBENCH_EXPERIMENTS"
if [ -n "$baseline" ] && ((${#experiments[@]} > 1)); then
    die "one baseline cannot be that of ${#experiments[@]} experiments: leave CGBENCH_BASELINE empty"
fi
case "${CGBENCH_INCONCLUSIVE:-fail}" in
fail | warn) ;;
*) die "CGBENCH_INCONCLUSIVE is neither fail nor warn: $CGBENCH_INCONCLUSIVE" ;;
esac
case "${CGBENCH_QUICK:-false}" in
true) quick=(--quick) ;;
false) quick=() ;;
*) die "CGBENCH_QUICK is neither true nor false: $CGBENCH_QUICK" ;;
esac

# --- Set-up: limits are set and read on the host's own cgroups, which needs root ---------------

if [ -z "$program" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        names="$(compgen -e | grep -E '^(CGBENCH|GITHUB|DOCKER)_' | paste -sd,)"
        exec sudo --preserve-env="$names" env "PATH=$PATH" bash "${BASH_SOURCE[0]}"
    fi
    "$home/.ci/setup" run || die "this runner could not be made ready"
    program="$home/.venv/bin/cgbench"
fi

# --- Baselines -------------------------------------------------------------------------------

mkdir -p "$output"
compared=()
for one in "${experiments[@]}"; do
    kept="$(baseline_of "$one")" || die "there is no experiment $one"
    if [ -f "$kept" ]; then
        compared+=("$one")
    else
        begin "$one" "$kept"
        cp "$kept" "$output/"
    fi
done
((${#compared[@]} > 0)) || finish 3

# --- Gate ------------------------------------------------------------------------------------

arguments=("${compared[@]}" "${quick[@]}" --results "$results")
[ -z "$baseline" ] || arguments+=(--baseline "$baseline")
for key in "${allowed[@]}"; do
    arguments+=(--allow "$key")
done
status=0
"$program" gate "${arguments[@]}" \
    --budget "${CGBENCH_BUDGET:-5m}" --effect "${CGBENCH_EFFECT:-2}" \
    --junit "$output/junit.xml" --markdown "$output/gate.md" --json "$output/gate.json" \
    -o "$output/gate.html" || status=$?
# An experiment that had no baseline has no verdict.
if ((status == 0 && ${#compared[@]} < ${#experiments[@]})); then
    status=3
fi
finish "$status"
