#!/bin/sh
# What happens on a host of a pod. scripts/pod.py copies this file to every host and calls it; it can
# be called by hand as well, in a shell on the host.
#
#   host.sh install    this project at the commit that was copied here, in a Python of its own
#   host.sh start      the command that was copied here, under a supervisor, unless it runs already
#   host.sh supervise  what start leaves running: restarts the command while that makes sense
#   host.sh status     one word: absent, installed, running, interrupted, done, stopped or failed
#   host.sh stop       SIGTERM to the command, which saves and ends; waits for that
#   host.sh log [N]    the last N lines (default 40); host.sh follow goes on as they come
#
# Files, all in $POD_HOME (default ~/clinical_t5x_pod): source.bundle, settings, command, environment,
# secrets (copied here); python/, source/, venv/ (installed); log, supervisor.log, state, pid.
set -eu

POD_HOME=${POD_HOME:-"$HOME/clinical_t5x_pod"}
PYTHON_VERSION=${POD_PYTHON_VERSION:-3.11}
UV_VERSION=0.8.22
# The command's exit codes: 0 done, 2 wrong use, 75 stopped and resumable (docs/training.md).
EXIT_USAGE=2 EXIT_RESUMABLE=75
# Other codes are a crash, here or on another host. One that ran this long starts the count anew.
MOST_CRASHES=${POD_MOST_CRASHES:-10} LONG_RUN=600
PAUSE=${POD_PAUSE:-15}

mkdir -p "$POD_HOME"
cd "$POD_HOME"

say() { printf '%s %s: %s\n' "$(date -u +%H:%M:%S)" "$(hostname)" "$*"; }

fail() {
    say "error: $*" >&2
    exit 1
}

# --- installation ---------------------------------------------------------------------------------

# The images of TPU VMs ship Python 3.10; uv brings a self-contained newer one, away from theirs.
bring_uv() {
    if [ ! -x "$POD_HOME/uv/bin/uv" ]; then
        rm -rf "$POD_HOME/uv.partial"
        python3 -m pip install --quiet --disable-pip-version-check --target "$POD_HOME/uv.partial" \
            "uv==$UV_VERSION" || fail "uv cannot be installed with this machine's pip"
        mv "$POD_HOME/uv.partial" "$POD_HOME/uv"
    fi
}

unpack_source() {
    rm -rf source.partial
    git init --quiet source.partial
    git -C source.partial fetch --quiet "$POD_HOME/source.bundle" "$SOURCE_REF"
    git -C source.partial checkout --quiet --detach "$COMMIT" || fail "no commit $COMMIT was copied"
    rm -rf source
    mv source.partial source
}

install_project() {
    # shellcheck disable=SC1091  # written by pod.py: SOURCE_REF, COMMIT, EXTRAS, POD_PYTHON
    . ./settings
    wanted="$COMMIT $EXTRAS $PYTHON_VERSION"
    if [ "$(cat installed 2>/dev/null || true)" = "$wanted" ]; then
        say "installed already: $COMMIT"
        return
    fi
    rm -f installed
    unpack_source
    if [ -n "${POD_PYTHON:-}" ]; then # a Python that is there, such as in an image of one's own
        "$POD_PYTHON" -m venv --clear venv
        set -- venv/bin/python -m pip install --quiet --disable-pip-version-check
    else
        bring_uv
        UV_PYTHON_INSTALL_DIR="$POD_HOME/python"
        export UV_PYTHON_INSTALL_DIR
        uv/bin/uv venv --quiet --clear --managed-python --python "$PYTHON_VERSION" venv
        set -- uv/bin/uv pip install --quiet --python venv/bin/python
    fi
    constraints="source/constraints-$PYTHON_VERSION.txt"
    if [ -f "$constraints" ]; then set -- "$@" -c "$constraints"; fi
    "$@" -e "source${EXTRAS:+[$EXTRAS]}"
    printf '%s' "$wanted" >installed.partial
    mv installed.partial installed
    say "installed $COMMIT"
}

# --- the command and its supervisor ---------------------------------------------------------------

# The number may belong to another process by now, as after a restart of the machine.
is_supervised() {
    [ -f pid ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat pid)/cmdline" | grep -q 'supervisor.sh supervise'
}

start() {
    [ -f installed ] || fail "not installed; run host.sh install first"
    [ -f command ] || fail "no command was copied here"
    if is_supervised; then
        say "runs already"
        return
    fi
    rm -f pid state stop_requested
    # A copy, because a shell reads its script as it goes, and host.sh may be copied here again.
    cp host.sh supervisor.sh.partial
    mv supervisor.sh.partial supervisor.sh
    # In a session of its own, so that it outlives the connection.
    setsid nohup sh "$POD_HOME/supervisor.sh" supervise >/dev/null 2>>supervisor.log </dev/null &
    until [ -f state ]; do sleep 0.1; done
    say "started"
}

# Words on one line each, as pod.py wrote them: no shell reads them.
run_command() {
    set --
    while IFS= read -r word || [ -n "$word" ]; do set -- "$@" "$word"; done <./command
    cd source
    PATH="$POD_HOME/venv/bin:$PATH" exec "$@"
}

load_variables() {
    for file in environment secrets; do
        while IFS= read -r line || [ -n "$line" ]; do
            # the value as it is, whatever is in it
            export "${line%%=*}=${line#*=}"
        done <"$file"
    done
}

supervise() {
    printf '%s' "$$" >pid
    printf running >state.partial
    mv state.partial state
    stopping='' crashes=0 child=''
    trap 'stopping=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
    load_variables
    while :; do
        began=$(date +%s)
        (run_command) >>log 2>&1 </dev/null &
        child=$!
        if [ -n "$stopping" ]; then kill -TERM "$child" 2>/dev/null || :; fi
        code=0
        wait "$child" || code=$?
        # wait comes back when a signal is caught, too
        while kill -0 "$child" 2>/dev/null; do
            code=0
            wait "$child" || code=$?
        done
        say "the command ended with exit code $code after $(($(date +%s) - began)) s" >&2
        if decide "$code" "$began"; then break; fi
    done
    rm -f pid
}

# Whether an end is final; else waits as long as it is good to wait before the next start.
decide() {
    if [ "$1" -eq 0 ]; then
        printf 'done' >state
    elif [ -n "$stopping" ]; then
        mark_stopped
    elif [ "$1" -eq "$EXIT_USAGE" ]; then
        printf failed >state # a mistake in the call does not go away
    elif [ "$1" -eq "$EXIT_RESUMABLE" ]; then
        crashes=0
        return 1
    else
        if [ $(($(date +%s) - $2)) -ge $LONG_RUN ]; then crashes=0; fi
        crashes=$((crashes + 1))
        if [ "$crashes" -lt "$MOST_CRASHES" ]; then
            sleep "$PAUSE" &
            wait $! || :
            [ -n "$stopping" ] || return 1
            mark_stopped
        else
            say "$crashes crashes in a row: given up" >&2
            printf failed >state
        fi
    fi
}

# The signal of a machine that goes down stops the command, but nobody asked for that.
mark_stopped() {
    if [ -f stop_requested ]; then printf stopped >state; fi
}

status() {
    if is_supervised; then
        echo running
    elif [ "$(cat state 2>/dev/null || true)" = running ]; then
        echo interrupted # the machine went down with it; host.sh start goes on
    elif [ -f state ]; then
        cat state
        echo
    elif [ -f installed ]; then
        echo installed
    else
        echo absent
    fi
}

stop() {
    : >stop_requested
    if is_supervised; then
        kill -TERM "$(cat pid)"
        say "asked to save and stop"
        while is_supervised; do sleep 0.2; done
    fi
    say "$(status)"
}

verb=${1:-}
case $verb in
install) install_project ;;
start | supervise | status | stop) "$verb" ;;
log) tail -n "${2:-40}" log 2>/dev/null || say "no log yet" ;;
follow) exec tail -n "${2:-40}" -F log ;;
*) fail "host.sh install|start|supervise|status|stop|log [N]|follow [N]" ;;
esac
