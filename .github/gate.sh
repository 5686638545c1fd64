#!/usr/bin/env bash
# Judge this host against its baselines in a job, whatever runs the job. All wishes are variables:
#
#   CGBENCH_EXPERIMENTS   names or files, separated by blanks, or one a line: a file that is there
#                         may have blanks in its name
#   CGBENCH_BASELINE      a name or file; each experiment's own name if empty
#   CGBENCH_RESULTS       results
#   CGBENCH_OUTPUT        cgbench-gate: a folder for the page and what else is written, made anew
#   CGBENCH_BUDGET        5m         CGBENCH_EFFECT  2, in percent
#   CGBENCH_TRIALS        30: trials of a first baseline; the gate needs 3 at least
#   CGBENCH_ALLOW         keys that may differ from the baseline's
#   CGBENCH_WAIT          0s: wait so long for another cgbench that measures on the host
#   CGBENCH_QUICK         false      CGBENCH_INCONCLUSIVE  fail, or warn to end with 0
#   CGBENCH_PROGRAM       a cgbench to use instead of this checkout's own
#   CGBENCH_CACHE         /var/cache/cgbench: where root keeps the packages of this checkout's own
#
# Exit status: 0 ok, 1 regressed, 2 an error, 3 undecided: inconclusive, incomparable, or no baseline
# yet. Then one is measured and kept, and the next job has something to compare with. 4 means that
# nothing could be measured here; CGBENCH_INCONCLUSIVE=warn does not turn that into 0. A signal ends
# what measures, root's process included, before it ends this.
set -euo pipefail

home="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
results="${CGBENCH_RESULTS:-results}"
output="${CGBENCH_OUTPUT:-cgbench-gate}"
baseline="${CGBENCH_BASELINE:-}"
program="${CGBENCH_PROGRAM:-}"
# All that root is handed: what this script and `cgbench` read.
handed_on=CGBENCH_EXPERIMENTS,CGBENCH_BASELINE,CGBENCH_RESULTS,CGBENCH_OUTPUT,CGBENCH_BUDGET
handed_on+=,CGBENCH_WAIT,CGBENCH_EFFECT,CGBENCH_TRIALS,CGBENCH_ALLOW,CGBENCH_QUICK,CGBENCH_INCONCLUSIVE
handed_on+=,GITHUB_ACTIONS,GITHUB_OUTPUT,GITHUB_STEP_SUMMARY,DOCKER_HOST,DOCKER_CONTEXT,DOCKER_CONFIG
# Programs of the system first: what root runs is not for the caller's PATH to choose.
system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# `cgbench` reads it by itself, whatever it measures.
export CGBENCH_WAIT="${CGBENCH_WAIT:-0s}"
experiments=()
while read -r line; do
    if [ -f "$line" ]; then several=("$line"); else read -ra several <<<"$line"; fi
    experiments+=("${several[@]}")
done <<<"${CGBENCH_EXPERIMENTS:-}"
read -rd '' -a allowed <<<"${CGBENCH_ALLOW:-}" || true

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
    if ((status == 3)) && [ "${CGBENCH_INCONCLUSIVE:-fail}" = warn ]; then
        told "cgbench gave no verdict. That is no pass: see the table."
        status=0
    fi
    decided=true
    exit "$status"
}

# What root wrote is read by what uploads it, and removed by the next checkout: neither is root.
ours=()
hand_back() {
    [ -n "${SUDO_UID:-}" ] || return 0
    local place
    for place in "${ours[@]}"; do
        [ ! -e "$place" ] || chown -hR "$SUDO_UID:${SUDO_GID:-}" "$place" || true
    done
}

# Whatever ends this without a word, such as a full disk, is an error: 1 would say "regressed".
decided=false
at_exit() {
    local status=$?
    hand_back
    $decided || ((status == 0)) || {
        note "ended by an error of its own (status $status)"
        exit 2
    }
}
trap at_exit EXIT

# --- Signals ---------------------------------------------------------------------------------

# Whoever cancels a job signals this script, and kills what is left some seconds later. bash runs no
# trap while it waits for a command in the foreground, so what takes long runs in the background.
child=""
forward=(kill -TERM)
stopped=0

stop() {
    stopped="$1" decided=true
    [ "$child" != starting ] || return 0
    [ -n "$child" ] || exit "$stopped"
    "${forward[@]}" "$child" 2>/dev/null || note "could not signal process $child"
}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

# Run a command and return its status. A signal is forwarded to it, and its end waited for.
supervised() {
    local status=0
    child=starting
    "$@" </dev/null &
    child=$!
    ((stopped == 0)) || stop "$stopped"
    while :; do
        status=0
        wait "$child" || status=$?
        # A trap ends `wait`, too.
        [ -e "/proc/$child" ] || break
    done
    child=""
    ((stopped == 0)) || exit "$stopped"
    return "$status"
}

# --- Folders ---------------------------------------------------------------------------------

# Refuse a path through a link: who wrote the workspace would choose where root writes.
require_no_link() {
    local path="${1%/}"
    while [ "$path" != . ] && [ -n "$path" ]; do
        [ ! -L "$path" ] || die "$path is a link; root follows none: make it a folder"
        # Outside of the workspace links are the administrator's.
        case "$path" in /*) return ;; esac
        path="$(dirname "$path")"
    done
}

# Make the output folder anew. Only what an earlier gate wrote is removed.
make_output() {
    local entry entries=()
    [ ! -e "$output" ] || [ -d "$output" ] || die "$output is no folder"
    while IFS= read -rd '' entry; do
        case "$(basename "$entry")" in
        gate.html | gate.md | junit.xml | *.json | .gate.* | .junit.* | gate.*.html | gate.*.md | junit.*.xml) entries+=("$entry") ;;
        *) die "$output holds $(basename "$entry"), which no gate wrote: name a new folder" ;;
        esac
    done < <([ ! -d "$output" ] || find "$output" -mindepth 1 -print0)
    ((${#entries[@]} == 0)) || rm -f -- "${entries[@]}"
    [ ! -d "$output" ] || rmdir "$output"
    mkdir -p "$(dirname "$output")"
    mkdir "$output"
}

# Print the name of an experiment, which a file has inside.
name_of() {
    "$program" show "$1" --json - | sed -n 's/^  "name": "\(.*\)",$/\1/p'
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
    supervised "$program" run "$1" "${quick[@]}" --trials "${CGBENCH_TRIALS:-30}" --results "$results" ||
        status=$?
    # A host that lacks something says so by a status of its own.
    ((status != 4)) || finish 4
    ((status == 0)) || die "$1 could not be measured"
    name="$(name_of "$1")"
    "$program" baseline set "$name" --name "$(basename "$2" .json)" --results "$results" ||
        die "no baseline could be made of $name"
    told "No baseline for $name yet: $2 was measured here. Commit it, or keep it in a cache."
    show_first "$name" "$2"
}

# Show what a first baseline holds: as a gate would, and with no verdict.
show_first() {
    local of=""
    ((${#experiments[@]} == 1)) || of=".$1"
    cp --no-dereference "$2" "$output/"
    "$program" baseline show "$2" --junit "$output/junit$of.xml" --markdown "$output/gate$of.md" \
        >/dev/null || die "$2 cannot be shown"
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$output/gate$of.md" >>"$GITHUB_STEP_SUMMARY"
    "$program" report "$1" --results "$results" -o "$output/gate$of.html" >/dev/null ||
        note "no page could be written of $1"
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
        if [ -t 0 ]; then sudo -v; else sudo -n env true; fi ||
            die "limits are set and read as root, and sudo gives this user no root"
        # Only root may signal sudo, which hands a signal on to what it started unless that comes
        # from its own process group: so sudo gets a group of its own.
        forward=(sudo -n kill -TERM)
        set -m
        status=0
        supervised sudo -H --preserve-env="$handed_on" env "PATH=$system_path:$PATH" \
            bash "${BASH_SOURCE[0]}" || status=$?
        decided=true
        exit "$status"
    fi
    # Neither packages nor bytecode of root's in the checkout, which its owner must be able to remove.
    venv="${CGBENCH_CACHE:-/var/cache/cgbench}/$(printf %s "$home" | sha256sum | cut -c1-12)"
    mkdir -p "$(dirname "$venv")"
    export CGBENCH_VENV="$venv" PYTHONDONTWRITEBYTECODE=1
    supervised "$home/.ci/setup" run || die "this runner could not be made ready"
    program="$venv/bin/cgbench"
fi

# --- Baselines -------------------------------------------------------------------------------

for place in "$output" "$results" "$results/baselines"; do
    require_no_link "$place"
done
make_output
ours=("$output" "$results")
compared=()
for one in "${experiments[@]}"; do
    kept="$(baseline_of "$one")" || die "there is no experiment $one"
    if [ -f "$kept" ]; then
        compared+=("$one")
    else
        begin "$one" "$kept"
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
supervised "$program" gate "${arguments[@]}" \
    --budget "${CGBENCH_BUDGET:-5m}" --effect "${CGBENCH_EFFECT:-2}" \
    --junit "$output/junit.xml" --markdown "$output/gate.md" --json "$output/gate.json" \
    -o "$output/gate.html" || status=$?
# An experiment that had no baseline has no verdict.
if ((status == 0 && ${#compared[@]} < ${#experiments[@]})); then
    status=3
fi
finish "$status"
