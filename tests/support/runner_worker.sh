#!/bin/bash
# A runner's worker with two steps: the composite action, then one of the job's own, which
# finds in its environment what the first wrote for it.
mkdir temp
export RUNNER_TEMP=$PWD/temp GITHUB_ENV=$PWD/env
kept=(HOME="$HOME" PATH="$PATH" KEYRACK_SOCKET_DIR="$KEYRACK_SOCKET_DIR" RUNNER_TEMP="$RUNNER_TEMP"
    GITHUB_ENV="$GITHUB_ENV" GITHUB_ACTIONS=true CI=true RUNNER_TRACKING_ID=github_5f0c)
run() { env -i "${kept[@]}" "$@" <&- 2>&1 | cat >>log; [[ ${PIPESTATUS[0]} = 0 ]] || exit 1; }

run OWNER=agent IDENTITY="$(cat secret)" MANIFEST=checkout/rack ENV=repo KEYS=TOKEN \
    bash --noprofile --norc -eo pipefail action.sh

python3 - >given <<'END'
import json, os, subprocess
found = json.loads(subprocess.check_output(["python3", "read_back.py", "gha", "env"]))
found |= dict(l.rstrip("\n").split("=", 1) for l in open("env") if l.startswith("KEYRACK_") and "=" in l)
for name, value in found.items():
    value = value if name.startswith("KEYRACK_") else bytes.fromhex(value).decode()
    print(f"{name}={value}", end="\0")
END
mapfile -d '' given <given
run "${given[@]}" bash --noprofile --norc -eo pipefail -c '
    echo "TOKEN is ${#TOKEN} bytes"
    echo "get gives $(keyrack get --env repo --key TOKEN | wc -c) bytes"
    echo "as $KEYRACK_FOR"'
